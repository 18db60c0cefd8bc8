"""The parts of a metadata definition namespace: objects, properties, tags, and its resource types."""

from typing import Any

from litestar import Request, delete, get, post, put

from stillframe.api.image_v2 import metadef_wire as wire
from stillframe.api.image_v2.kinds import parsed_bool
from stillframe.api.image_v2.metadef_routes import (
    NAMESPACES,
    is_descending,
    read_limit,
    read_marker,
    read_sort_key,
)
from stillframe.api.image_v2.routes import query_pairs
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError
from stillframe.identity.model import Caller
from stillframe.metadefs import service as metadefs
from stillframe.metadefs.model import Association, MetadefObject, MetadefProperty, MetadefTag, TagQuery, TagSort

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]

_NAMESPACE = f"{NAMESPACES}/{{namespace:str}}"
_OBJECTS, _OBJECT = f"{_NAMESPACE}/objects", f"{_NAMESPACE}/objects/{{name:str}}"
_PROPERTIES, _PROPERTY = f"{_NAMESPACE}/properties", f"{_NAMESPACE}/properties/{{name:str}}"
_TAGS, _TAG = f"{_NAMESPACE}/tags", f"{_NAMESPACE}/tags/{{name:str}}"
_TYPES, _TYPE = f"{_NAMESPACE}/resource_types", f"{_NAMESPACE}/resource_types/{{name:str}}"
_TAG_SORTS = {sort.value: sort for sort in TagSort}


@get(_OBJECTS)
async def list_objects(namespace: str, tx: Transaction, caller: Caller) -> Json:
    """Glance knows parameters of paging here and gives all objects whatever they say; so do we."""
    found = await metadefs.list_parts(tx, caller, namespace, MetadefObject)
    return {
        "objects": [wire.object_to_wire(namespace, one) for one in found],
        "schema": "/v2/schemas/metadefs/objects",
    }


@post(_OBJECTS)
async def create_object(request: AnyRequest, namespace: str, tx: Transaction, caller: Caller) -> Json:
    body = wire.read_body(await request.body(), wire.ObjectBody, read_only=wire.TIMES | wire.LINKS)
    made = await metadefs.add_part(tx, caller, namespace, wire.read_object(body))
    return wire.object_to_wire(namespace, made)


@get(_OBJECT)
async def show_object(namespace: str, name: str, tx: Transaction, caller: Caller) -> Json:
    return wire.object_to_wire(namespace, await metadefs.get_part(tx, caller, namespace, MetadefObject, name))


@put(_OBJECT)
async def update_object(request: AnyRequest, namespace: str, name: str, tx: Transaction, caller: Caller) -> Json:
    body = wire.read_body(await request.body(), wire.ObjectBody, read_only=wire.TIMES | wire.LINKS)
    changed = await metadefs.replace_part(tx, caller, namespace, name, wire.read_object(body))
    return wire.object_to_wire(namespace, changed)


@delete(_OBJECT)
async def delete_object(namespace: str, name: str, tx: Transaction, caller: Caller) -> None:
    await metadefs.remove_part(tx, caller, namespace, MetadefObject, name)


@delete(_OBJECTS)
async def delete_objects(namespace: str, tx: Transaction, caller: Caller) -> None:
    await metadefs.remove_parts(tx, caller, namespace, MetadefObject)


@get(_PROPERTIES)
async def list_properties(namespace: str, tx: Transaction, caller: Caller) -> Json:
    found = await metadefs.list_parts(tx, caller, namespace, MetadefProperty)
    return {"properties": {one.name: wire.property_to_wire(one) for one in found}}


@post(_PROPERTIES)
async def create_property(request: AnyRequest, namespace: str, tx: Transaction, caller: Caller) -> Json:
    body = wire.read_body(await request.body(), wire.PropertyBody, read_only=wire.TIMES)
    made = await metadefs.add_part(tx, caller, namespace, wire.read_property(body))
    return wire.property_to_wire(made)


@get(_PROPERTY)
async def show_property(request: AnyRequest, namespace: str, name: str, tx: Transaction, caller: Caller) -> Json:
    resource_type = dict(query_pairs(request)).get("resource_type")
    if resource_type:
        found = await metadefs.get_prefixed_property(tx, caller, namespace, name, resource_type)
    else:
        found = await metadefs.get_part(tx, caller, namespace, MetadefProperty, name)
    return wire.property_to_wire(found)


@put(_PROPERTY)
async def update_property(request: AnyRequest, namespace: str, name: str, tx: Transaction, caller: Caller) -> Json:
    body = wire.read_body(await request.body(), wire.PropertyBody, read_only=wire.TIMES)
    changed = await metadefs.replace_part(tx, caller, namespace, name, wire.read_property(body))
    return wire.property_to_wire(changed)


@delete(_PROPERTY)
async def delete_property(namespace: str, name: str, tx: Transaction, caller: Caller) -> None:
    await metadefs.remove_part(tx, caller, namespace, MetadefProperty, name)


@delete(_PROPERTIES)
async def delete_properties(namespace: str, tx: Transaction, caller: Caller) -> None:
    await metadefs.remove_parts(tx, caller, namespace, MetadefProperty)


@get(_TAGS)
async def list_tags(request: AnyRequest, namespace: str, tx: Transaction, caller: Caller) -> Json:
    given = dict(query_pairs(request))
    query = TagQuery(
        limit=read_limit(given),
        marker=read_marker(given),
        sort=read_sort_key(given, _TAG_SORTS),
        descending=is_descending(given),
    )
    return {"tags": [{"name": tag.name} for tag in await metadefs.list_tags(tx, caller, namespace, query)]}


@post(_TAGS)
async def create_tags(request: AnyRequest, namespace: str, tx: Transaction, caller: Caller) -> Json:
    body = wire.read_body(await request.body(), wire.TagsBody, read_only=wire.TIMES)
    append = parsed_bool("X-OpenStack-Append", request.headers.get("x-openstack-append", "false"))
    await metadefs.set_tags(tx, caller, namespace, [wire.read_tag(tag.name) for tag in body.tags], append=append)
    return {"tags": [{"name": tag.name} for tag in body.tags]}


@get(_TAG)
async def show_tag(namespace: str, name: str, tx: Transaction, caller: Caller) -> Json:
    return wire.tag_to_wire(await metadefs.get_part(tx, caller, namespace, MetadefTag, name))


@post(_TAG)
async def create_tag(request: AnyRequest, namespace: str, name: str, tx: Transaction, caller: Caller) -> Json:
    if await request.body():
        raise InvalidInputError("A body is not expected with this request.")
    tag = wire.read_tag(wire.checked_tag_name(name))
    return wire.tag_to_wire(await metadefs.add_part(tx, caller, namespace, tag))


@put(_TAG)
async def update_tag(request: AnyRequest, namespace: str, name: str, tx: Transaction, caller: Caller) -> Json:
    body = wire.read_body(await request.body(), wire.TagBody, read_only=wire.TIMES)
    return wire.tag_to_wire(await metadefs.replace_part(tx, caller, namespace, name, wire.read_tag(body.name)))


@delete(_TAG)
async def delete_tag(namespace: str, name: str, tx: Transaction, caller: Caller) -> None:
    await metadefs.remove_part(tx, caller, namespace, MetadefTag, name)


@delete(_TAGS)
async def delete_tags(namespace: str, tx: Transaction, caller: Caller) -> None:
    await metadefs.remove_parts(tx, caller, namespace, MetadefTag)


@get("/v2/metadefs/resource_types")
async def list_resource_types(tx: Transaction, caller: Caller) -> Json:
    found = await metadefs.list_resource_types(tx, caller)
    return {"resource_types": [wire.resource_type_to_wire(one) for one in found]}


@get(_TYPES)
async def list_associations(namespace: str, tx: Transaction, caller: Caller) -> Json:
    found = await metadefs.list_parts(tx, caller, namespace, Association)
    return {"resource_type_associations": [wire.association_to_wire(one) for one in found]}


@post(_TYPES)
async def associate(request: AnyRequest, namespace: str, tx: Transaction, caller: Caller) -> Json:
    body = wire.read_body(await request.body(), wire.AssociationBody, read_only=wire.TIMES)
    return wire.association_to_wire(await metadefs.add_part(tx, caller, namespace, wire.read_association(body)))


@delete(_TYPE)
async def dissociate(namespace: str, name: str, tx: Transaction, caller: Caller) -> None:
    await metadefs.remove_part(tx, caller, namespace, Association, name)


handlers = [
    list_objects,
    create_object,
    show_object,
    update_object,
    delete_object,
    delete_objects,
    list_properties,
    create_property,
    show_property,
    update_property,
    delete_property,
    delete_properties,
    list_tags,
    create_tags,
    show_tag,
    create_tag,
    update_tag,
    delete_tag,
    delete_tags,
    list_resource_types,
    list_associations,
    associate,
    dissociate,
]
