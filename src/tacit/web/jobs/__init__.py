"""What worker processes do. Arguments and results travel between processes; the codec is the worker's own.

`uploads` reads the image in an upload, `coding` and `finding` do the work of `/v1`. The rest is the page's:
`display_images` makes what the page shows, `prepared_images` keeps images analysed, `preview` encodes them,
`comparison` runs other codecs.
"""
