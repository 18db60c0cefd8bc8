"""The first accounts of a new deployment, and the plain makings of projects and users for whoever may do anything."""

from typing import NamedTuple

from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NotFoundError
from stillframe.identity import effective
from stillframe.identity.access_keys import create_access_key
from stillframe.identity.model import (
    FIRST_DOMAIN,
    ROLE_IMPLICATIONS,
    ROLES,
    SYSTEM_SCOPE,
    Domain,
    DomainRef,
    Grant,
    Project,
    ProjectFilter,
    Role,
    Scope,
    User,
)
from stillframe.identity.passwords import hash_password
from stillframe.identity.rows import accounts as account_rows
from stillframe.identity.rows import grants as grant_rows
from stillframe.identity.rows import keys as key_rows
from stillframe.identity.tokens import TokenKeys
from stillframe.kit.ids import new_hex_id


class FirstAccount(NamedTuple):
    """A user of a new deployment with every credential; only known at the moment it is made."""

    cloud: str
    """Its name in clouds.yaml."""
    user_name: str
    password: str
    project_name: str
    domain_name: str
    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        return f"FirstAccount({self.cloud!r}, {self.user_name!r})"


async def bootstrap_accounts(
    tx: Transaction, keys: TokenKeys, *, region: str, admin_password: str, user_password: str
) -> list[FirstAccount]:
    """One domain, a project named like the region (clients read the region from it), an administrator and a user.

    Nothing changes and nothing is returned when the domain is there already. Roles that are missing are added always.
    """
    await _add_missing_roles(tx)
    if await account_rows.find_domain(tx, DomainRef(name=FIRST_DOMAIN)):
        return []
    domain = Domain(id=new_hex_id(), name=FIRST_DOMAIN, description="The first domain")
    await account_rows.insert_domain(tx, domain)
    project = await create_project(tx, domain.id, region)
    admin = await create_user(tx, domain.id, "admin", admin_password, default_project_id=project.id)
    user = await create_user(tx, domain.id, "demo", user_password, default_project_id=project.id)
    await grant_role(tx, admin.id, "admin", SYSTEM_SCOPE)
    for scope in (Scope(project_id=project.id), Scope(domain_id=domain.id)):
        await grant_role(tx, admin.id, "admin", scope)
        await grant_role(tx, admin.id, "te_admin", scope)
        await grant_role(tx, user.id, "member", scope)
    return [
        await _first_account(tx, keys, "stillframe", user, user_password, project),
        await _first_account(tx, keys, "stillframe-admin", admin, admin_password, project),
    ]


async def _add_missing_roles(tx: Transaction) -> None:
    """An implication of ours comes with its roles and is not restored once an administrator has taken it away."""
    there = {role.name: role.id for role in await grant_rows.list_roles(tx)}
    new = [name for name in ROLES if name not in there]
    for name in new:
        there[name] = new_hex_id()
        await grant_rows.insert_role(tx, Role(id=there[name], name=name, description=ROLES[name]))
    for prior, implied in ROLE_IMPLICATIONS:
        if prior in new or implied in new:
            await grant_rows.insert_inference(tx, there[prior], there[implied])


async def _first_account(
    tx: Transaction, keys: TokenKeys, cloud: str, user: User, password: str, project: Project
) -> FirstAccount:
    made = await create_access_key(tx, keys, user.id, "made at the first start")
    return FirstAccount(cloud, user.name, password, project.name, FIRST_DOMAIN, made.key.access, made.secret)


async def create_project(tx: Transaction, domain_id: str, name: str, description: str = "") -> Project:
    check_name(name)
    project = Project(id=new_hex_id(), name=name, domain_id=domain_id, description=description)
    await account_rows.insert_project(tx, project)
    return project


async def create_user(
    tx: Transaction, domain_id: str, name: str, password: str, *, default_project_id: str | None = None
) -> User:
    check_name(name)
    user = User(id=new_hex_id(), name=name, domain_id=domain_id, default_project_id=default_project_id)
    await account_rows.insert_user(tx, user, await hash_password(password))
    return user


def check_name(name: str) -> None:
    if not 1 <= len(name) <= 255 or not name.isprintable():
        raise InvalidInputError("A name has 1 to 255 printable characters.", field="name")


async def change_password(tx: Transaction, user_id: str, password: str) -> None:
    """Every token and temporary key of the user stops working at once; access keys stay."""
    await account_rows.update_user(tx, user_id, new_epoch=True, password_hash=await hash_password(password))
    await key_rows.delete_temporary_keys(tx, user_id=user_id)


async def set_user_enabled(tx: Transaction, user_id: str, *, enabled: bool) -> None:
    """Disabling ends every token for good; enabling again does not bring them back."""
    await account_rows.update_user(tx, user_id, new_epoch=not enabled, enabled=enabled)
    if not enabled:
        await key_rows.delete_temporary_keys(tx, user_id=user_id)


async def set_project_enabled(tx: Transaction, project_id: str, *, enabled: bool) -> None:
    """Tokens for a disabled project are refused as long as it is disabled."""
    await account_rows.set_project_enabled(tx, project_id, enabled=enabled)


async def grant_role(tx: Transaction, user_id: str, role_name: str, scope: Scope) -> None:
    """Repeating is harmless. Raises: NotFoundError for an unknown role."""
    await grant_rows.lock_grants(tx)
    await grant_rows.insert_grant(tx, await _grant(tx, user_id, role_name, scope))
    await effective.refresh_users(tx, {user_id})


async def withdraw_role(tx: Transaction, user_id: str, role_name: str, scope: Scope) -> None:
    """Counts at once, for tokens that are out already too; repeating is harmless."""
    await grant_rows.lock_grants(tx)
    await grant_rows.delete_grant(tx, await _grant(tx, user_id, role_name, scope))
    await effective.refresh_users(tx, {user_id})


async def _grant(tx: Transaction, user_id: str, role_name: str, scope: Scope) -> Grant:
    if scope.is_unscoped:
        raise InvalidInputError("A role is held on a project, on a domain or on the system.", field="scope")
    found = await grant_rows.list_roles(tx, name=role_name)
    if not found:
        raise NotFoundError(f"No role named {role_name} was found.")
    return Grant(role_id=found[0].id, user_id=user_id, project_id=scope.project_id, domain_id=scope.domain_id)


async def get_project(tx: Transaction, project_id: str) -> Project:
    """Whoever asks. Raises: NotFoundError."""
    project = await account_rows.get_project(tx, project_id)
    if project is None:
        raise NotFoundError(f"Could not find project: {project_id}.")
    return project


async def list_projects(tx: Transaction, wanted: ProjectFilter) -> list[Project]:
    """Whoever asks."""
    return await account_rows.list_projects(tx, wanted)
