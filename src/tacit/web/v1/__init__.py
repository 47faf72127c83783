"""Version 1 of the HTTP interface, as docs/web.md describes it: one module for each path."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from tacit.web.access import authorized
from tacit.web.v1 import captions, decoding, encoding, finding, info, models, results

router = APIRouter(dependencies=[Depends(authorized)])
for module in (encoding, decoding, finding, info, results, models, captions):
    router.include_router(module.router)
