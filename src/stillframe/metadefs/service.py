"""What a caller can do with metadata definitions: everybody reads, administrators of the platform write.

A namespace is seen when it is public or of the caller's project; an administrator sees all of them.

Source: OpenStack Image API v2, "Metadata definition namespaces" and the sections after it; openstack/glance,
`glance/policies/metadef.py`.
"""

from typing import TypeVar

from msgspec.structs import replace

from stillframe.db import Transaction
from stillframe.errors import ForbiddenError
from stillframe.identity.model import Caller
from stillframe.images.service import SYSTEM_PROJECT_ID
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import new_uuid
from stillframe.metadefs import rows
from stillframe.metadefs.built_in import IMAGES, NAMESPACES
from stillframe.metadefs.errors import (
    DefinitionChangeForbiddenError,
    DefinitionExistsError,
    DefinitionNotFoundError,
    DefinitionProtectedError,
)
from stillframe.metadefs.model import (
    Association,
    Contents,
    MetadefObject,
    MetadefProperty,
    MetadefTag,
    Namespace,
    NamespaceQuery,
    NamespaceVisibility,
    Part,
    ResourceType,
    TagQuery,
)

PartT = TypeVar("PartT", bound=Part)

_CALLED: dict[type[Part], str] = {
    MetadefObject: "object",
    MetadefProperty: "property",
    MetadefTag: "tag",
    Association: "resource type association",
}


def _require_reader(caller: Caller) -> None:
    if not caller.roles:
        raise ForbiddenError


def _require_writer(caller: Caller) -> None:
    if not caller.is_platform_admin:
        raise DefinitionChangeForbiddenError


async def bootstrap_namespaces(tx: Transaction) -> None:
    """Adds the built-in definitions; for the first start only, so that those an operator has deleted stay away."""
    now = utcnow()
    for name, (display_name, description, properties) in NAMESPACES.items():
        namespace = Namespace(
            id=new_uuid(),
            name=name,
            display_name=display_name,
            description=description,
            visibility=NamespaceVisibility.PUBLIC,
            protected=True,
            owner=SYSTEM_PROJECT_ID,
            created_at=now,
            updated_at=now,
        )
        contents = Contents(
            associations=[Association(name=IMAGES, created_at=now, updated_at=now)],
            properties=[
                MetadefProperty(name=property_name, schema=schema, created_at=now, updated_at=now)
                for property_name, schema in properties.items()
            ],
        )
        await _insert_namespace(tx, namespace, contents)


async def get_namespace(tx: Transaction, caller: Caller, name: str, *, lock: bool = False) -> Namespace:
    """Raises: DefinitionNotFoundError, also for a namespace the caller may not see."""
    _require_reader(caller)
    namespace = await rows.get_namespace(tx, name, lock=lock) if _can_be_a_name(name) else None
    if namespace is None or not _is_visible(caller, namespace):
        raise DefinitionNotFoundError(f"Metadata definition namespace {name[:255]} was not found.")
    return namespace


def _can_be_a_name(text: str) -> bool:
    return len(text) <= rows.MAX_NAME_LENGTH and "\x00" not in text


def _is_visible(caller: Caller, namespace: Namespace) -> bool:
    is_open = namespace.visibility is NamespaceVisibility.PUBLIC
    return is_open or caller.is_platform_admin or namespace.owner == caller.project_id


async def _namespace_to_change(tx: Transaction, caller: Caller, name: str) -> Namespace:
    """Locked. Raises: DefinitionNotFoundError, DefinitionChangeForbiddenError."""
    namespace = await get_namespace(tx, caller, name, lock=True)
    _require_writer(caller)
    return namespace


async def list_namespaces(
    tx: Transaction, caller: Caller, query: NamespaceQuery
) -> list[tuple[Namespace, list[Association]]]:
    """One page. Raises: DefinitionNotFoundError when the marker is no namespace that the caller sees."""
    _require_reader(caller)
    after = None if query.marker is None else await get_namespace(tx, caller, query.marker)
    page = await rows.list_namespaces(tx, query, after, seen_by=caller.project_id, everything=caller.is_platform_admin)
    associations = await rows.associations_of(tx, [namespace.id for namespace in page])
    return [(namespace, associations.get(namespace.id, [])) for namespace in page]


async def get_contents(tx: Transaction, caller: Caller, name: str) -> tuple[Namespace, Contents]:
    """A namespace and everything in it; the tags youngest first. Raises: DefinitionNotFoundError."""
    namespace = await get_namespace(tx, caller, name)
    contents = Contents(
        associations=await rows.list_parts(tx, Association, namespace.id),
        properties=await rows.list_parts(tx, MetadefProperty, namespace.id),
        objects=await rows.list_parts(tx, MetadefObject, namespace.id),
        tags=await rows.list_tags(tx, namespace.id, TagQuery(), None),
    )
    return namespace, contents


def new_namespace(caller: Caller, name: str) -> Namespace:
    """One that belongs to the caller's project; to be filled in and given to `create_namespace`.

    Raises: ForbiddenError for a caller without a project.
    """
    now = utcnow()
    return Namespace(id=new_uuid(), name=name, owner=caller.require_project(), created_at=now, updated_at=now)


async def create_namespace(tx: Transaction, caller: Caller, namespace: Namespace, contents: Contents) -> None:
    """With everything in it, or not at all. Raises: DefinitionChangeForbiddenError, DefinitionExistsError."""
    _require_writer(caller)
    await _insert_namespace(tx, namespace, contents)


async def _insert_namespace(tx: Transaction, namespace: Namespace, contents: Contents) -> None:
    if not await rows.insert_namespace(tx, namespace):
        raise DefinitionExistsError(f"The metadata definition namespace {namespace.name} already exists.")
    await _insert_parts(tx, namespace, contents.associations)
    await _insert_parts(tx, namespace, contents.properties)
    await _insert_parts(tx, namespace, contents.objects)
    await _insert_parts(tx, namespace, contents.tags)


async def _insert_parts(tx: Transaction, namespace: Namespace, parts: list[PartT]) -> None:
    for part in parts:
        if isinstance(part, Association):
            await rows.add_resource_type(tx, part.name, part.created_at)
    if not await rows.insert_parts(tx, namespace.id, parts):
        raise _exists(namespace, parts)


def _exists(namespace: Namespace, parts: list[PartT]) -> DefinitionExistsError:
    names = ", ".join(part.name for part in parts)
    return DefinitionExistsError(
        f"A metadata definition {_CALLED[type(parts[0])]} of the name {names[:255]} already exists in namespace "
        f"{namespace.name}."
    )


async def update_namespace(tx: Transaction, caller: Caller, name: str, wanted: Namespace) -> Namespace:
    """Gives the namespace everything of `wanted` but its id and time of creation.

    Raises: as `get_namespace`; DefinitionChangeForbiddenError, DefinitionExistsError.
    """
    namespace = await _namespace_to_change(tx, caller, name)
    changed = replace(wanted, id=namespace.id, created_at=namespace.created_at, updated_at=utcnow())
    if not await rows.replace_namespace(tx, changed):
        raise DefinitionExistsError(f"The metadata definition namespace {changed.name} already exists.")
    return changed


async def delete_namespace(tx: Transaction, caller: Caller, name: str) -> None:
    """With everything in it. Raises: as `get_namespace`; DefinitionChangeForbiddenError, DefinitionProtectedError."""
    namespace = await _namespace_to_change(tx, caller, name)
    _require_deletable(namespace, f"namespace {namespace.name}")
    await rows.delete_namespace(tx, namespace.id)


def _require_deletable(namespace: Namespace, what: str) -> None:
    if namespace.protected:
        raise DefinitionProtectedError(f"Metadata definition {what} is protected and cannot be deleted.")


async def list_parts(tx: Transaction, caller: Caller, namespace_name: str, kind: type[PartT]) -> list[PartT]:
    """Oldest first. Raises: as `get_namespace`."""
    namespace = await get_namespace(tx, caller, namespace_name)
    return await rows.list_parts(tx, kind, namespace.id)


async def list_tags(tx: Transaction, caller: Caller, namespace_name: str, query: TagQuery) -> list[MetadefTag]:
    """Raises: as `get_namespace`; DefinitionNotFoundError also when the marker is no tag of the namespace."""
    namespace = await get_namespace(tx, caller, namespace_name)
    after = None if query.marker is None else await _part_of(tx, namespace, MetadefTag, query.marker)
    return await rows.list_tags(tx, namespace.id, query, after)


async def get_part(tx: Transaction, caller: Caller, namespace_name: str, kind: type[PartT], name: str) -> PartT:
    """Raises: as `get_namespace`, and DefinitionNotFoundError for the part itself."""
    namespace = await get_namespace(tx, caller, namespace_name)
    return await _part_of(tx, namespace, kind, name)


async def _part_of(tx: Transaction, namespace: Namespace, kind: type[PartT], name: str) -> PartT:
    part = await rows.get_part(tx, kind, namespace.id, name) if _can_be_a_name(name) else None
    if part is None:
        raise _no_part(namespace, kind, name)
    return part


def _no_part(namespace: Namespace, kind: type[Part], name: str) -> DefinitionNotFoundError:
    return DefinitionNotFoundError(
        f"The metadata definition {_CALLED[kind]} {name[:255]} was not found in namespace {namespace.name}."
    )


async def get_prefixed_property(
    tx: Transaction, caller: Caller, namespace_name: str, name: str, resource_type: str
) -> MetadefProperty:
    """The property that things of the resource type know by `name`, which begins with the association's prefix.

    Raises: as `get_part`.
    """
    namespace = await get_namespace(tx, caller, namespace_name)
    association = await _part_of(tx, namespace, Association, resource_type)
    if not association.prefix or not name.startswith(association.prefix):
        raise DefinitionNotFoundError(
            f"Property {name[:255]} does not start with the prefix of the resource type, {association.prefix!r}."
        )
    return await _part_of(tx, namespace, MetadefProperty, name.removeprefix(association.prefix))


async def add_part(tx: Transaction, caller: Caller, namespace_name: str, part: PartT) -> PartT:
    """Raises: as `get_namespace`; DefinitionChangeForbiddenError, DefinitionExistsError."""
    namespace = await _namespace_to_change(tx, caller, namespace_name)
    await _insert_parts(tx, namespace, [part])
    return part


async def set_tags(
    tx: Transaction, caller: Caller, namespace_name: str, tags: list[MetadefTag], *, append: bool
) -> None:
    """Adds the tags to those of the namespace, or puts them in their place; no tags at all change nothing.

    Raises: as `add_part`.
    """
    namespace = await _namespace_to_change(tx, caller, namespace_name)
    if tags and not append:
        await rows.delete_parts(tx, MetadefTag, namespace.id)
    await _insert_parts(tx, namespace, tags)


async def replace_part(tx: Transaction, caller: Caller, namespace_name: str, name: str, wanted: PartT) -> PartT:
    """Gives the part everything of `wanted`, its name too, but the time of creation.

    Raises: as `get_part`; DefinitionChangeForbiddenError, DefinitionExistsError.
    """
    namespace = await _namespace_to_change(tx, caller, namespace_name)
    before = await _part_of(tx, namespace, type(wanted), name)
    changed = replace(wanted, created_at=before.created_at, updated_at=utcnow())
    if not await rows.replace_part(tx, namespace.id, name, changed):
        raise _exists(namespace, [changed])
    return changed


async def remove_part(tx: Transaction, caller: Caller, namespace_name: str, kind: type[Part], name: str) -> None:
    """Raises: as `get_part`; DefinitionChangeForbiddenError, DefinitionProtectedError."""
    namespace = await _namespace_to_change(tx, caller, namespace_name)
    await _part_of(tx, namespace, kind, name)
    _require_deletable(namespace, f"{_CALLED[kind]} {name}")
    await rows.delete_part(tx, kind, namespace.id, name)


async def remove_parts(tx: Transaction, caller: Caller, namespace_name: str, kind: type[Part]) -> None:
    """All of one kind. Raises: as `delete_namespace`."""
    namespace = await _namespace_to_change(tx, caller, namespace_name)
    _require_deletable(namespace, f"namespace {namespace.name}")
    await rows.delete_parts(tx, kind, namespace.id)


async def list_resource_types(tx: Transaction, caller: Caller) -> list[ResourceType]:
    """Every type that was ever associated with a namespace, by name."""
    _require_reader(caller)
    return await rows.list_resource_types(tx)
