"""The media types of what the service takes and gives."""

from __future__ import annotations

from tacit.container import MIME_TYPE

TACIT = MIME_TYPE
OCTETS = "application/octet-stream"
IMAGE_SUFFIXES = {"image/png": "png", "image/jpeg": "jpeg", "image/webp": "webp", "image/avif": "avif"}
"""The formats of decoded images, by media type; the first is the default."""
