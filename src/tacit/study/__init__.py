"""Studies: what an enhancement, a caption, and a phrase that names a part of an image are worth.

They are measured on real files by `tacit.evaluation`.
"""
