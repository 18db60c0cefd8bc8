"""The door of identity: Keystone v3, and the access keys of Open Telekom Cloud's IAM."""

import re

from stillframe.api.identity_v3.errors import exception_handlers
from stillframe.api.identity_v3.routes import handlers

OPEN_REQUESTS: frozenset[tuple[str, str]] = frozenset(
    {
        *((method, path) for method in ("GET", "HEAD") for path in ("/", "/v3", "/v3/")),
        ("POST", "/v3/auth/tokens"),
        ("POST", "/v3/auth/tokens/"),
    }
)

OPEN_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    # Whoever knows the present password may change it, also when it is over and gets no token any more.
    ("POST", re.compile(r"/v3/users/[^/]+/password/?")),
)

REMEMBERED_PATHS = (re.compile(r"/v3/auth/tokens"),)

__all__ = ["OPEN_PATTERNS", "OPEN_REQUESTS", "REMEMBERED_PATHS", "exception_handlers", "handlers"]
