"""Looking around: which domains, projects, users and roles a caller gets to see.

A platform administrator sees everything, a domain's administrator the domain, everybody else themselves and the
projects they have a role on.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NotFoundError
from stillframe.identity.model import (
    DEFAULT_DOMAIN_ID,
    SYSTEM,
    WHOLE_LIST,
    Caller,
    Domain,
    DomainRef,
    Filter,
    ListQuery,
    Project,
    ProjectFilter,
    Role,
    User,
    UserFilter,
)
from stillframe.identity.policy import missing, refusal
from stillframe.identity.rows import accounts as account_rows
from stillframe.identity.rows import grants as grant_rows
from stillframe.identity.rows import records
from stillframe.identity.tables import roles
from stillframe.kit.ids import is_hex_id


async def domain_filter(tx: Transaction, domain_id: str | None) -> str | None:
    """The id behind `default`; any other as it is."""
    if domain_id != DEFAULT_DOMAIN_ID:
        return domain_id
    found = await account_rows.find_domain(tx, DomainRef(id=domain_id))
    return found.id if found else domain_id


async def require_same_domain(tx: Transaction, fields: Mapping[str, Any], domain_id: str) -> None:
    """What is in a domain stays there. Raises: InvalidInputError where a change names another one."""
    if await domain_filter(tx, fields.get("domain_id")) not in (None, domain_id):
        raise InvalidInputError("Cannot change Domain ID.", field="domain_id")


async def list_visible_projects(
    tx: Transaction, caller: Caller, wanted: ProjectFilter, query: ListQuery = WHOLE_LIST
) -> list[Project]:
    """Who manages no projects is shown their own when they say what they look for.

    Raises: ForbiddenError, as Keystone does, for the list of everything, whereupon clients ask for their own; and for a
    name in the form of an id that is not there or not the caller's to see.
    """
    if not caller.is_admin and wanted == ProjectFilter() and not query.filters:
        raise refusal("list_projects")
    wanted = wanted._replace(
        domain_id=await domain_filter(tx, wanted.domain_id), parent_id=await domain_filter(tx, wanted.parent_id)
    )
    if not caller.is_admin:
        wanted = wanted._replace(user_id=caller.user_id)
    elif not caller.is_platform_admin:
        if wanted.domain_id not in (None, caller.at_domain_id):
            return []
        wanted = wanted._replace(domain_id=caller.at_domain_id)
    found = await account_rows.list_projects(tx, wanted, query)
    if not found and not caller.is_platform_admin and any(_names_an_id(each) for each in query.filters):
        raise refusal("list_projects")
    return found


def _names_an_id(condition: Filter) -> bool:
    """What openstackclient does about a project that it was not shown by its id, as in `image add project`; being
    refused, as by Keystone, it takes the id as it was typed, whereas after an empty list it gives up.
    """
    return condition.name == "name" and is_hex_id(str(condition.value))


async def list_own_projects(
    tx: Transaction, caller: Caller, *, name: str | None = None, query: ListQuery = WHOLE_LIST
) -> list[Project]:
    """Enabled projects the caller can get a token for."""
    return await account_rows.list_projects(tx, ProjectFilter(user_id=caller.user_id, name=name, enabled=True), query)


async def list_projects_of_user(
    tx: Transaction, caller: Caller, user_id: str, query: ListQuery = WHOLE_LIST
) -> list[Project]:
    user = await show_user(tx, caller, user_id)
    return await account_rows.list_projects(tx, ProjectFilter(user_id=user.id), query)


async def show_project(tx: Transaction, caller: Caller, project_id: str) -> Project:
    """Raises: NotFoundError; ForbiddenError for what the caller may not see, be it there or not."""
    # A name where an id belongs is "not found" for everybody: clients then look for the name.
    project = await account_rows.get_project(tx, project_id) if is_hex_id(project_id) else None
    if project is None:
        raise missing(caller, "project", project_id, "get_project", to_all=not is_hex_id(project_id))
    if project.id == caller.project_id or caller.administers(project.domain_id):
        return project
    if not await grant_rows.list_role_ids_held(tx, caller.user_id, project.id):
        raise refusal("get_project")
    return project


async def list_visible_domains(
    tx: Transaction,
    caller: Caller,
    *,
    name: str | None = None,
    enabled: bool | None = None,
    query: ListQuery = WHOLE_LIST,
) -> list[Domain]:
    domain_id = None if caller.is_platform_admin else caller.domain_id
    return await account_rows.list_domains(tx, domain_id=domain_id, name=name, enabled=enabled, query=query)


async def list_own_domains(tx: Transaction, caller: Caller, *, name: str | None = None) -> list[Domain]:
    """Enabled domains the caller can get a token for."""
    return await account_rows.list_domains_of_user(tx, caller.user_id, name=name)


async def show_domain(tx: Transaction, caller: Caller, domain_id: str) -> Domain:
    """Raises: NotFoundError; ForbiddenError for another domain than the caller's own, be it there or not."""
    looks_like_one = is_hex_id(domain_id) or domain_id == DEFAULT_DOMAIN_ID
    domain = await account_rows.find_domain(tx, DomainRef(id=domain_id)) if looks_like_one else None
    if domain is None:
        raise missing(caller, "domain", domain_id, "get_domain", to_all=not looks_like_one)
    if domain.id not in (caller.domain_id, caller.at_domain_id) and not caller.is_platform_admin:
        raise refusal("get_domain")
    return domain


async def list_visible_users(
    tx: Transaction,
    caller: Caller,
    wanted: UserFilter,
    query: ListQuery = WHOLE_LIST,
    *,
    expiry: tuple[str, datetime] | None = None,
) -> list[User]:
    """`expiry` is an operator (lt, lte, gt, gte, eq, neq) and a moment the end of the password is compared with."""
    wanted = wanted._replace(domain_id=await domain_filter(tx, wanted.domain_id))
    if not caller.is_admin:
        wanted = wanted._replace(id=caller.user_id)
    elif not caller.is_platform_admin:
        if wanted.domain_id not in (None, caller.at_domain_id):
            return []
        wanted = wanted._replace(domain_id=caller.at_domain_id)
    return await account_rows.list_users(tx, wanted, query, expiry=expiry)


async def show_user(tx: Transaction, caller: Caller, user_id: str) -> User:
    """Raises: NotFoundError; ForbiddenError for whom the caller may not see, be they there or not."""
    user = await account_rows.get_user(tx, user_id) if is_hex_id(user_id) else None
    if user is None:
        raise missing(caller, "user", user_id, "get_user", to_all=not is_hex_id(user_id))
    if user.id != caller.user_id and not caller.administers(user.domain_id):
        raise refusal("get_user")
    return user


async def list_roles(tx: Transaction, query: ListQuery = WHOLE_LIST, *, domain_id: str | None = None) -> list[Role]:
    """Those of everybody; with `domain_id` those of that domain only."""
    if domain_id is None:
        return await grant_rows.list_roles(tx, query=query)
    return await grant_rows.list_domain_roles(tx, await domain_filter(tx, domain_id) or domain_id, query)


async def show_role(tx: Transaction, role_id: str) -> Role:
    """Raises: NotFoundError."""
    role = await records.get(tx, roles, Role, role_id)
    if role is None:
        raise NotFoundError(f"Could not find role: {role_id}.")
    return role


async def may_use_system(tx: Transaction, caller: Caller) -> bool:
    """Whether the caller can get a token for the whole system."""
    return bool(await grant_rows.list_role_ids_held(tx, caller.user_id, SYSTEM))
