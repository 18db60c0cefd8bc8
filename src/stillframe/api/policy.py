"""In front of every route of every door: the role its operation needs, as the table says."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import HttpMethod
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from stillframe.db import Database, Transaction
from stillframe.errors import ForbiddenError
from stillframe.identity import policy
from stillframe.identity.model import Caller

AnyConnection = ASGIConnection[Any, Any, Any, Any]
Look = Callable[[Transaction, Caller, dict[str, Any]], Awaitable[None]]
"""Raises: NotFoundError when what the parameters of the path name is nothing that the caller sees."""

LOOK = "look"


def guard_of(service: str, database: Database) -> Guard:
    """Operations that are not offered say so to everybody who has a token.

    A handler whose `opt` has a `Look` under LOOK refuses what the caller may not even see as if it were not there.
    """

    # A coroutine on purpose: Litestar sends each call of a plain function through a thread.
    async def require_rule(connection: AnyConnection, handler: BaseRouteHandler) -> None:
        scope = connection.scope
        if "missing" in handler.opt or scope["type"] != ScopeType.HTTP or scope["method"] == HttpMethod.OPTIONS:
            return
        rule = policy.rule_of(policy.Operation(service, scope["method"], scope["path_template"]))
        caller: Caller | None = scope["state"].get("caller")
        if rule is policy.Rule.OPEN or caller is None:
            return
        try:
            policy.require_rule(rule, caller, user_id=connection.path_params.get("user_id"))
        except ForbiddenError:
            if LOOK in handler.opt:
                async with database.reading() as tx:
                    await handler.opt[LOOK](tx, caller, connection.path_params)
            raise

    return require_rule
