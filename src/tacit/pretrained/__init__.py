"""Networks that others have trained: which files they are, where they are found, and how they run.

Nothing here downloads anything.
"""
