"""Processes that do the service's work, so that the server survives a job that crashes or takes too long.

pool ─► process (one handle per worker) ─► pipe ─► loop, in the worker: runs jobs one at a time
└► codecs: the models that this worker has loaded
"""
