"""An answer of JSON and files together, because they belong to one encoding and must not come from two.

Browsers take such an answer apart without reading the files, which they cannot do with a form.
"""

from __future__ import annotations

import json
from typing import Any

from fastapi.responses import Response

MEDIA_TYPE = "application/x-tacit-parts"


def parts_response(fields: dict[str, Any], **files: tuple[bytes, str]) -> Response:
    """Return JSON and files in one body.

    Four bytes, big-endian, give the length of the JSON, which follows. Its entry `files` lists the name, length and
    media type of each file; the files follow in that order.

    Args:
        fields: The other entries of the JSON.
        files: The bytes and the media type of each file.
    """
    listing = [[name, len(data), media_type] for name, (data, media_type) in files.items()]
    head = json.dumps(fields | {"files": listing}).encode()
    body = b"".join((len(head).to_bytes(4), head, *(data for data, _ in files.values())))
    return Response(body, media_type=MEDIA_TYPE)
