"""Projects in their tree, with tags; a domain can be looked at and changed as the project it also is.

Source: OpenStack Identity API v3, "Projects" and "Project tags".
"""

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from stillframe.db import Transaction
from stillframe.errors import ForbiddenError, InvalidInputError, NotFoundError
from stillframe.identity import effective
from stillframe.identity.directory import domain_filter, require_same_domain, show_project
from stillframe.identity.model import Caller, Domain, DomainRef, Json, Project
from stillframe.identity.policy import missing, require_domain_admin
from stillframe.identity.rows import accounts as account_rows
from stillframe.identity.rows import grants as grant_rows
from stillframe.identity.rows import records
from stillframe.identity.tables import projects
from stillframe.identity.users import domain_for_new, merged_options
from stillframe.kit.ids import is_hex_id, new_hex_id

OPTIONS: dict[str, type] = {"immutable": bool}
MAX_TREE_DEPTH = 5
MAX_TAGS = 80


async def find_as_domain(tx: Transaction, project_id: str) -> Domain | None:
    """The domain that a project id stands for, if it is one."""
    return await account_rows.find_domain(tx, DomainRef(id=project_id)) if is_hex_id(project_id) else None


async def create_project(tx: Transaction, caller: Caller, fields: Mapping[str, Any], extra: Json) -> Project:
    """Raises: ForbiddenError; InvalidInputError; ConflictError when the name is taken in the domain."""
    parent_id = fields.get("parent_id")
    parent = await account_rows.get_project(tx, parent_id) if parent_id else None
    domain_id = fields.get("domain_id") or (parent.domain_id if parent else parent_id)
    try:
        domain = await domain_for_new(tx, caller, domain_id, "create_project")
    except NotFoundError as error:
        raise InvalidInputError(error.message, field="domain_id") from None
    if parent_id and parent is None and parent_id not in (domain.id, fields.get("domain_id")):
        raise InvalidInputError(f"Could not find project: {parent_id}.", field="parent_id")
    if parent is not None and parent.domain_id != domain.id:
        raise InvalidInputError(
            f"Cannot create project, since it specifies its domain_id {domain.id}, but specifies a parent in a "
            f"different domain ({parent.domain_id}).",
            field="parent_id",
        )
    await _require_live_branch(tx, domain, parent)
    project = Project(
        id=new_hex_id(),
        name=fields["name"].strip(),
        domain_id=domain.id,
        parent_id=parent.id if parent else None,
        enabled=fields.get("enabled", True),
        description=fields.get("description") or "",
        tags=_unique(fields.get("tags", [])),
        options=merged_options({}, fields.get("options"), OPTIONS),
        extra=extra,
    )
    await grant_rows.lock_grants(tx)
    await account_rows.insert_project(tx, project)
    await effective.refresh_heirs(tx)
    return project


async def _require_live_branch(tx: Transaction, domain: Domain, parent: Project | None) -> None:
    branch: list[Project] = []
    if parent is not None:
        branch = [parent, *effective.above(parent, await account_rows.list_domain_tree(tx, domain.id))]
    disabled = [each.id for each in branch if not each.enabled] + ([] if domain.enabled else [domain.id])
    if disabled:
        raise InvalidInputError(f"cannot create a project in a branch containing a disabled project: {disabled[0]}.")
    if len(branch) >= MAX_TREE_DEPTH:
        raise ForbiddenError(f"Max hierarchy depth reached for {parent.id if parent else domain.id} branch.")


async def managed_project(tx: Transaction, caller: Caller, project_id: str, action: str) -> Project:
    """A project the caller may change. Raises: NotFoundError; ForbiddenError."""
    project = await account_rows.get_project(tx, project_id) if is_hex_id(project_id) else None
    if project is None:
        raise missing(caller, "project", project_id, action, to_all=caller.is_admin and not is_hex_id(project_id))
    require_domain_admin(caller, project.domain_id, action)
    return project


def require_mutable(options: Json, wanted: Mapping[str, Any] | None, what: str, an_id: str) -> None:
    """An immutable thing takes one change only: that it is no longer immutable. Raises: ForbiddenError."""
    if options.get("immutable") and (wanted or {}).get("options", {}).get("immutable", True):
        raise ForbiddenError(f"Cannot change immutable {what} {an_id}; set its option immutable to false first.")


async def change_project(
    tx: Transaction, caller: Caller, project_id: str, fields: Mapping[str, Any], extra: Json
) -> Project:
    """What is not named stays. Tokens for a disabled project are refused at once.

    Raises: NotFoundError; ForbiddenError; InvalidInputError; ConflictError when the name is taken.
    """
    before = await managed_project(tx, caller, project_id, "update_project")
    require_mutable(before.options, fields, "project", project_id)
    await require_same_domain(tx, fields, before.domain_id)
    if await domain_filter(tx, fields.get("parent_id")) not in (None, before.parent_id or before.domain_id):
        raise InvalidInputError("Cannot change Parent ID.", field="parent_id")
    if fields.get("is_domain"):
        raise InvalidInputError("Update of `is_domain` is not allowed.", field="is_domain")
    after = structs.replace(
        before,
        name=fields.get("name", before.name).strip(),
        enabled=fields.get("enabled", before.enabled),
        description=fields.get("description", before.description) or "",
        tags=_unique(fields.get("tags", before.tags)),
        options=merged_options(before.options, fields.get("options"), OPTIONS),
        extra=before.extra | extra,
    )
    await _require_sound_branch(tx, before, after)
    values = {name: getattr(after, name) for name in ("name", "enabled", "description", "options", "extra")}
    taken = f"Conflict occurred when attempting to store project - there is one named {after.name} already."
    await records.update(tx, projects, project_id, taken=taken, **values)
    if after.tags != before.tags:
        await account_rows.set_tags(tx, project_id, after.tags)
    if not after.enabled:
        await effective.require_an_admin_left(tx)
    return after


async def _require_sound_branch(tx: Transaction, before: Project, after: Project) -> None:
    """Nothing enabled below something disabled."""
    if before.enabled == after.enabled:
        return
    tree = await account_rows.list_domain_tree(tx, before.domain_id)
    if not after.enabled and any(each.enabled for each in effective.below(before.id, tree)):
        raise ForbiddenError(f"Cannot disable project {before.id} since its subtree contains enabled projects.")
    if after.enabled and not all(each.enabled for each in effective.above(before, tree)):
        raise ForbiddenError(f"Cannot enable project {before.id} since it has disabled parents.")


async def delete_project(tx: Transaction, caller: Caller, project_id: str) -> None:
    """With its grants, limits and credentials. Raises: NotFoundError; ForbiddenError."""
    project = await managed_project(tx, caller, project_id, "delete_project")
    require_mutable(project.options, None, "project", project_id)
    await grant_rows.lock_grants(tx)
    tree = await account_rows.list_domain_tree(tx, project.domain_id)
    if effective.below(project.id, tree):
        raise ForbiddenError(
            f"Cannot delete the project {project_id} since it is not a leaf in the hierarchy. Delete the projects "
            "under it first."
        )
    await account_rows.forget_credentials(tx, project_id)
    await grant_rows.forget_target(tx, project_id)
    await records.delete(tx, projects, project_id)
    await effective.require_an_admin_left(tx)


# --- the tree --------------------------------------------------------------------------------------------------------


async def list_parents(tx: Transaction, project: Project) -> list[Project]:
    """The nearest first; the domain is not among them."""
    return effective.above(project, await account_rows.list_domain_tree(tx, project.domain_id))


async def list_below(tx: Transaction, project: Project) -> list[Project]:
    return effective.below(project.id, await account_rows.list_domain_tree(tx, project.domain_id))


async def only_visible(tx: Transaction, caller: Caller, found: list[Project]) -> list[Project]:
    """Those the caller holds a role on."""
    return [each for each in found if await grant_rows.list_role_ids_held(tx, caller.user_id, each.id)]


# --- tags ------------------------------------------------------------------------------------------------------------


async def list_tags(tx: Transaction, caller: Caller, project_id: str) -> list[str]:
    return (await show_project(tx, caller, project_id)).tags


async def check_tag(tx: Transaction, caller: Caller, project_id: str, tag: str) -> None:
    """Raises: NotFoundError."""
    if tag not in await list_tags(tx, caller, project_id):
        raise NotFoundError(f"Could not find project tag: {tag}.")


async def set_tags(tx: Transaction, caller: Caller, project_id: str, tags: list[str]) -> list[str]:
    """Raises: NotFoundError; ForbiddenError."""
    project = await managed_project(tx, caller, project_id, "update_project_tags")
    require_mutable(project.options, None, "project", project_id)
    await account_rows.set_tags(tx, project_id, _unique(tags))
    return _unique(tags)


async def add_tag(tx: Transaction, caller: Caller, project_id: str, tag: str) -> None:
    """Repeating is harmless. Raises: NotFoundError; ForbiddenError; InvalidInputError when there are too many."""
    project = await managed_project(tx, caller, project_id, "create_project_tag")
    if tag in project.tags:
        return
    if len(project.tags) >= MAX_TAGS:
        raise InvalidInputError(f"A project has at most {MAX_TAGS} tags.", field="tags")
    await account_rows.set_tags(tx, project_id, [*project.tags, tag])


async def remove_tag(tx: Transaction, caller: Caller, project_id: str, tag: str) -> None:
    """Raises: NotFoundError; ForbiddenError."""
    project = await managed_project(tx, caller, project_id, "delete_project_tag")
    if tag not in project.tags:
        raise NotFoundError(f"Could not find project tag: {tag}.")
    await account_rows.set_tags(tx, project_id, [each for each in project.tags if each != tag])


def _unique(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))
