"""Captions of images: where one comes from, files that hold many, and captioners, models that write them.

A caption comes from the command line, a caption map, a sidecar file or the image's own metadata. A captioner looks at
the image and describes it.
"""

from tacit.captions.boxer import Boxer, LabelledBox
from tacit.captions.cache import AnswerCache, default_folder
from tacit.captions.caption import Caption, find_caption
from tacit.captions.caption_entries import CaptionEntry, read_caption_entries
from tacit.captions.caption_file import CaptionFile
from tacit.captions.caption_map import CaptionMap
from tacit.captions.captioner import Captioner
from tacit.captions.captioning import Captioning
from tacit.captions.chat_endpoint import ChatEndpoint, EndpointOptions
from tacit.captions.endpoint import EndpointCaptioner
from tacit.captions.estimate import UNPRICED, Estimate, Price, estimate
from tacit.captions.image_location import ImageLocation, find_images
from tacit.captions.local import LocalCaptioner
from tacit.captions.prompt import load_prompt
from tacit.captions.sidecar import read_sidecar

__all__ = [
    "UNPRICED",
    "AnswerCache",
    "Boxer",
    "Caption",
    "CaptionEntry",
    "CaptionFile",
    "CaptionMap",
    "Captioner",
    "Captioning",
    "ChatEndpoint",
    "EndpointCaptioner",
    "EndpointOptions",
    "Estimate",
    "ImageLocation",
    "LabelledBox",
    "LocalCaptioner",
    "Price",
    "default_folder",
    "estimate",
    "find_caption",
    "find_images",
    "load_prompt",
    "read_caption_entries",
    "read_sidecar",
]
