"""The door of identity: Keystone v3, and the access keys of Open Telekom Cloud's IAM."""

from stillframe.api.identity_v3.errors import exception_handlers
from stillframe.api.identity_v3.routes import handlers

OPEN_REQUESTS: frozenset[tuple[str, str]] = frozenset(
    {
        *((method, path) for method in ("GET", "HEAD") for path in ("/", "/v3", "/v3/")),
        ("POST", "/v3/auth/tokens"),
        ("POST", "/v3/auth/tokens/"),
    }
)

__all__ = ["OPEN_REQUESTS", "exception_handlers", "handlers"]
