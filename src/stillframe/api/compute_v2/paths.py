"""Nova's paths without a project: the token names it already.

Source: OpenStack Compute release notes, "project_id in the URL is optional since 2.18" (served at every version here).
"""

import re

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from stillframe.identity.model import Caller

_WITHOUT_PROJECT = re.compile(r"(/v2(?:\.1)?)(/(?:servers|flavors|limits|extensions|os-[a-z-]+)(?:/.*)?)", re.ASCII)


class ProjectInPath:
    """Puts the project of the token into the path, where the routes look for it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller: Caller | None = scope.get("state", {}).get("caller")
        found = _WITHOUT_PROJECT.fullmatch(scope["path"])
        if scope["type"] == ScopeType.HTTP and caller is not None and caller.project_id and found:
            path = f"{found[1]}/{caller.project_id}{found[2]}"
            scope["path"], scope["raw_path"] = path, path.encode()
        await self._app(scope, receive, send)
