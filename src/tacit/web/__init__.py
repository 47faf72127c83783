"""The HTTP service and its page: `tacit serve`, or `tacit.web.app.create_app` in a server of yours.

    request ─► app ─► bodies (in memory, limited) ─► workers.pool ─► a worker, which runs one of jobs ─► response

`v1` has the routes of the documented interface, `preview` those of the page, `static` the page itself.
`tacit.web.client` is the other side, for Python programs; it needs httpx and nothing else of this package.
"""
