"""Sample images with captions (`tacit.demo.samples`), and the page that compares codecs on them (`tacit.demo.page`)."""
