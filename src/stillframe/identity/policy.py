"""Who may do what. The table of all operations is policy_table; here is how it is read.

Source: OpenStack Keystone, Glance, Nova, Cinder and Neutron, default policies; Open Telekom Cloud, IMS API reference,
"Permissions Policies and Supported Actions".
"""

import enum
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

from stillframe.errors import ForbiddenError, NotFoundError
from stillframe.identity.model import Caller
from stillframe.identity.policy_table import TABLES

SAME_PATHS = {"compute": ("/v2/", "/v2.1/"), "volume": ("/v2/", "/v3/")}
"""An older version's paths, and the ones that stand for them in the table."""


class Rule(enum.StrEnum):
    """As explained on top of the table."""

    OPEN = "open"
    TOKEN = "token"  # noqa: S105 - whoever has one
    SCOPED = "scoped"
    SELF = "self"
    OWNER = "owner"
    OWN = "own"
    READER = "reader"
    MEMBER = "member"
    MANAGER = "manager"
    ADMIN = "admin"


class Operation(NamedTuple):
    service: str
    """Its key in `config.PORTS`."""
    method: str
    path: str
    """With its parameters in braces."""


class Line(NamedTuple):
    operation: Operation
    rule: Rule
    action: str | None
    """Open Telekom Cloud's name of what it does to images."""


def _lines(service: str, table: str) -> Iterator[Line]:
    for line in table.strip().splitlines():
        rule, method, path, *action = line.split()
        yield Line(Operation(service, method, path), Rule(rule), action[0] if action else None)


LINES = [line for service, table in TABLES.items() for line in _lines(service, table)]
RULES = {line.operation: line.rule for line in LINES}

_ALLOWED: dict[Rule, Callable[[Caller], bool]] = {
    Rule.OPEN: lambda _: True,
    Rule.TOKEN: lambda _: True,
    Rule.SCOPED: lambda caller: bool(caller.project_id or caller.scope_domain_id or caller.is_system),
    # In which domain the user in the path is, the service finds out.
    Rule.SELF: lambda _: True,
    Rule.OWNER: lambda caller: caller.is_platform_admin,
    Rule.OWN: lambda _: False,
    Rule.READER: lambda caller: caller.project_id is not None and bool(caller.roles),
    Rule.MEMBER: lambda caller: caller.project_id is not None and not caller.is_reader_only,
    Rule.MANAGER: lambda caller: caller.is_admin,
    Rule.ADMIN: lambda caller: caller.is_platform_admin,
}


def canonical(operation: Operation) -> Operation:
    """As the table has it, whatever version of the API is asked for."""
    older, newer = SAME_PATHS.get(operation.service, ("\n", ""))
    if not operation.path.startswith(older):
        return operation
    return operation._replace(path=newer + operation.path.removeprefix(older))


@cache
def rule_of(operation: Operation) -> Rule:
    wanted = canonical(operation)
    if wanted.method == "HEAD":
        return RULES.get(wanted) or RULES.get(wanted._replace(method="GET"), Rule.READER)
    return RULES.get(wanted) or (Rule.READER if wanted.method == "GET" else Rule.MEMBER)


def require_rule(rule: Rule, caller: Caller, *, user_id: str | None = None) -> None:
    """`user_id` is the one in the path. Raises: ForbiddenError."""
    is_own = rule in (Rule.OWN, Rule.OWNER) and user_id == caller.user_id
    if not (is_own or _ALLOWED[rule](caller)):
        raise ForbiddenError(cause=f"this needs: {rule}")


def refusal(action: str) -> ForbiddenError:
    return ForbiddenError(f"You are not authorized to perform the requested action: identity:{action}.")


def require_platform_admin(caller: Caller, action: str) -> None:
    """Raises: ForbiddenError."""
    if not caller.is_platform_admin:
        raise refusal(action)


def require_domain_admin(caller: Caller, domain_id: str | None, action: str) -> None:
    """For what lies in the domain; what lies in none is the platform's. Raises: ForbiddenError."""
    if not caller.administers(domain_id):
        raise refusal(action)


def missing(
    caller: Caller, what: str, an_id: str, action: str, *, to_all: bool = False
) -> ForbiddenError | NotFoundError:
    """Why something that is not there is refused: only who could see it anywhere learns that it is not there."""
    if caller.is_platform_admin or to_all:
        return NotFoundError(f"Could not find {what}: {an_id}.")
    return refusal(action)
