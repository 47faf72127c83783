"""The HTTP service and its page: `tacit serve`, or `tacit.web.app.create_app` in a server of yours.

    request ─► app ─► bodies (limits, in memory) ─► pool ─► a worker process, which holds a codec ─► answer

`tacit.web.client` is the other side, for Python programs; it needs httpx and nothing else of this package.
"""
