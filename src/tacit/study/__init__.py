"""Studies: what an enhancement, a caption, and a phrase that names a region are worth. Measured on real files by
`tacit.evaluation`."""
