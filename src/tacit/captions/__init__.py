"""Where a caption comes from: the command line, a map of captions, a sidecar file or the image's own metadata."""

from tacit.captions.caption import Caption, find_caption
from tacit.captions.mapping import CaptionMap

__all__ = ["Caption", "CaptionMap", "find_caption"]
