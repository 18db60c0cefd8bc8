"""In front of every route of every door: the role its operation needs, as the table says."""

from typing import Any

from litestar import HttpMethod
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from stillframe.identity import policy
from stillframe.identity.model import Caller

AnyConnection = ASGIConnection[Any, Any, Any, Any]


def guard_of(service: str) -> Guard:
    """Operations that are not offered say so to everybody who has a token.

    A guard is a coroutine function though it waits for nothing: any other is run in a thread.
    """

    async def require_rule(connection: AnyConnection, handler: BaseRouteHandler) -> None:
        scope = connection.scope
        if "missing" in handler.opt or scope["type"] != ScopeType.HTTP or scope["method"] == HttpMethod.OPTIONS:
            return
        rule = policy.rule_of(policy.Operation(service, scope["method"], scope["path_template"]))
        caller: Caller | None = scope["state"].get("caller")
        if rule is not policy.Rule.OPEN and caller is not None:
            policy.require_rule(rule, caller, user_id=connection.path_params.get("user_id"))

    return require_rule
