"""Who may use the service: everybody, or those who send the operator's token."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from tacit.web.service import ServiceDep

_bearer = HTTPBearer(auto_error=False, description="Needed only if the operator has set a token.")


async def authorized(
    service: ServiceDep, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    """Refuse a request without the token, if the operator has set one."""
    token = service.settings.token
    if token is None:
        return
    if credentials is None or not hmac.compare_digest(credentials.credentials.encode(), token.encode()):
        raise HTTPException(401, "send the token as Authorization: Bearer TOKEN", {"www-authenticate": "Bearer"})
