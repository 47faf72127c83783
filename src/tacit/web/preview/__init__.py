"""What the page asks for beyond `/v1`: an image is sent once, and then looked at in many ways.

These routes are for the page alone and change with it, so OpenAPI does not describe them. An image is known by the
digest of what `tacit.web.jobs.display_images` made of it, and kept for as long as any upload. When it is gone, the
answer is 404, and the page sends it again.
"""
