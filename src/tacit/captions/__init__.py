"""Where a caption comes from: the command line, a map of captions, a sidecar file, the image's own metadata; or a
captioner, a model that looks at the image.
"""

from tacit.captions.cache import AnswerCache, default_folder
from tacit.captions.caption import Caption, find_caption
from tacit.captions.captioner import Captioner
from tacit.captions.captioning import Captioning
from tacit.captions.endpoint import EndpointCaptioner, EndpointOptions
from tacit.captions.estimate import UNPRICED, Estimate, Price, estimate
from tacit.captions.local import LocalCaptioner
from tacit.captions.mapping import CaptionMap
from tacit.captions.picture import Picture, find_pictures
from tacit.captions.prompt import load_prompt
from tacit.captions.rows import CaptionRows

__all__ = [
    "UNPRICED",
    "AnswerCache",
    "Caption",
    "CaptionMap",
    "CaptionRows",
    "Captioner",
    "Captioning",
    "EndpointCaptioner",
    "EndpointOptions",
    "Estimate",
    "LocalCaptioner",
    "Picture",
    "Price",
    "default_folder",
    "estimate",
    "find_caption",
    "find_pictures",
    "load_prompt",
]
