"""Looking around: which domains, projects, users and roles a caller gets to see.

A platform administrator sees everything, a domain's administrator the domain, everybody else themselves and the
projects they have a role on.
"""

from stillframe.db import Transaction
from stillframe.errors import ForbiddenError, NotFoundError
from stillframe.identity import rows
from stillframe.identity.model import (
    WHOLE_LIST,
    Caller,
    Domain,
    DomainRef,
    Page,
    Project,
    ProjectFilter,
    Role,
    User,
    UserFilter,
)
from stillframe.kit.ids import is_hex_id


async def list_visible_projects(
    tx: Transaction, caller: Caller, wanted: ProjectFilter, page: Page = WHOLE_LIST
) -> list[Project]:
    if not caller.is_admin:
        wanted = wanted._replace(user_id=caller.user_id)
    elif not caller.is_platform_admin:
        if wanted.domain_id not in (None, caller.domain_id):
            return []
        wanted = wanted._replace(domain_id=caller.domain_id)
    return await rows.list_projects(tx, wanted, page)


async def list_own_projects(tx: Transaction, caller: Caller, *, name: str | None = None) -> list[Project]:
    """Enabled projects the caller can get a token for."""
    return await rows.list_projects(tx, ProjectFilter(user_id=caller.user_id, name=name, enabled=True))


async def list_projects_of_user(tx: Transaction, caller: Caller, user_id: str) -> list[Project]:
    user = await show_user(tx, caller, user_id)
    return await rows.list_projects(tx, ProjectFilter(user_id=user.id))


async def show_project(tx: Transaction, caller: Caller, project_id: str) -> Project:
    """Raises: NotFoundError; ForbiddenError for what the caller may not see, be it there or not."""
    # A name where an id belongs is "not found" for everybody: clients then look for the name.
    project = await rows.get_project(tx, project_id) if is_hex_id(project_id) else None
    if caller.is_platform_admin or not is_hex_id(project_id):
        if project is None:
            raise NotFoundError(f"Could not find project: {project_id}.")
        return project
    own = await rows.list_projects(tx, ProjectFilter(user_id=caller.user_id))
    administers = caller.is_admin and project is not None and project.domain_id == caller.domain_id
    if project is None or not (administers or project in own):
        raise ForbiddenError("Policy doesn't allow identity:get_project to be performed.")
    return project


async def list_visible_domains(
    tx: Transaction, caller: Caller, *, name: str | None = None, enabled: bool | None = None
) -> list[Domain]:
    domain_id = None if caller.is_platform_admin else caller.domain_id
    return await rows.list_domains(tx, domain_id=domain_id, name=name, enabled=enabled)


async def list_own_domains(tx: Transaction, caller: Caller, *, name: str | None = None) -> list[Domain]:
    """Enabled domains the caller can get a token for."""
    return await rows.list_domains_of_user(tx, caller.user_id, name=name)


async def show_domain(tx: Transaction, caller: Caller, domain_id: str) -> Domain:
    """Raises: NotFoundError; ForbiddenError for another domain than the caller's own, be it there or not."""
    if is_hex_id(domain_id) and domain_id != caller.domain_id and not caller.is_platform_admin:
        raise ForbiddenError("Policy doesn't allow identity:get_domain to be performed.")
    domain = await rows.find_domain(tx, DomainRef(id=domain_id)) if is_hex_id(domain_id) else None
    if domain is None:
        raise NotFoundError(f"Could not find domain: {domain_id}.")
    return domain


async def list_visible_users(
    tx: Transaction, caller: Caller, wanted: UserFilter, page: Page = WHOLE_LIST
) -> list[User]:
    if not caller.is_admin:
        wanted = wanted._replace(id=caller.user_id)
    elif not caller.is_platform_admin:
        if wanted.domain_id not in (None, caller.domain_id):
            return []
        wanted = wanted._replace(domain_id=caller.domain_id)
    return await rows.list_users(tx, wanted, page)


async def show_user(tx: Transaction, caller: Caller, user_id: str) -> User:
    """Raises: NotFoundError; ForbiddenError for whom the caller may not see, be they there or not."""
    user = await rows.get_user(tx, user_id) if is_hex_id(user_id) else None
    if caller.is_platform_admin or not is_hex_id(user_id):
        if user is None:
            raise NotFoundError(f"Could not find user: {user_id}.")
        return user
    administers = caller.is_admin and user is not None and user.domain_id == caller.domain_id
    if user is None or not (administers or user.id == caller.user_id):
        raise ForbiddenError("Policy doesn't allow identity:get_user to be performed.")
    return user


async def list_roles(tx: Transaction, *, name: str | None = None) -> list[Role]:
    return await rows.list_roles(tx, name=name)


async def show_role(tx: Transaction, role_id: str) -> Role:
    """Raises: NotFoundError."""
    found = [role for role in await rows.list_roles(tx) if role.id == role_id]
    if not found:
        raise NotFoundError(f"Could not find role: {role_id}.")
    return found[0]
