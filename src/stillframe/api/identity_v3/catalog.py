"""Services, endpoints and regions, ours and what administrators add: decode, one service call, encode."""

from typing import Any

from litestar import HttpMethod, Request, delete, patch, post, put, route

from stillframe.api.identity_v3.bodies import (
    EndpointBody,
    RegionBody,
    ServiceBody,
    decode_resource,
    require_same_id,
)
from stillframe.api.identity_v3.entities import Wire, endpoint_to_wire, region_to_wire, service_to_wire
from stillframe.api.identity_v3.errors import base_url
from stillframe.api.identity_v3.queries import collection, list_query
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError
from stillframe.identity import catalog
from stillframe.identity.model import WHOLE_LIST, Caller

AnyRequest = Request[Any, Any, Any]
READ = [HttpMethod.GET, HttpMethod.HEAD]


def _list(request: AnyRequest, name: str, entries: list[Wire]) -> Wire:
    return collection(request, name, entries, WHOLE_LIST)


@route("/v3/services", http_method=READ)
async def list_services(request: AnyRequest, tx: Transaction) -> Wire:
    query = list_query(request.query_params, "type", "name")
    found = await catalog.list_services(tx, query)
    return _list(request, "services", [service_to_wire(each, base_url(request)) for each in found])


@route("/v3/services/{service_id:str}", http_method=READ)
async def show_service(request: AnyRequest, service_id: str, tx: Transaction) -> Wire:
    return {"service": service_to_wire(await catalog.show_service(tx, service_id), base_url(request))}


@post("/v3/services", status_code=201)
async def create_service(request: AnyRequest, tx: Transaction, caller: Caller) -> Wire:
    given = decode_resource(await request.body(), "service", ServiceBody, "type")
    made = await catalog.create_service(tx, caller, given.fields, given.extra)
    return {"service": service_to_wire(made, base_url(request))}


@patch("/v3/services/{service_id:str}")
async def change_service(request: AnyRequest, service_id: str, tx: Transaction, caller: Caller) -> Wire:
    body = await request.body()
    require_same_id(body, "service", service_id)
    given = decode_resource(body, "service", ServiceBody)
    changed = await catalog.change_service(tx, caller, service_id, given.fields, given.extra)
    return {"service": service_to_wire(changed, base_url(request))}


@delete("/v3/services/{service_id:str}", status_code=204)
async def delete_service(service_id: str, tx: Transaction, caller: Caller) -> None:
    await catalog.delete_service(tx, caller, service_id)


@route("/v3/endpoints", http_method=READ)
async def list_endpoints(request: AnyRequest, tx: Transaction, settings: Settings) -> Wire:
    params = request.query_params
    wanted = {name: params[name] for name in ("service_id", "interface", "region_id") if name in params}
    if "region" in params:
        wanted["region_id"] = params["region"]
    found = await catalog.list_endpoints(tx, settings, wanted)
    return _list(request, "endpoints", [endpoint_to_wire(each, base_url(request)) for each in found])


@route("/v3/endpoints/{endpoint_id:str}", http_method=READ)
async def show_endpoint(request: AnyRequest, endpoint_id: str, tx: Transaction, settings: Settings) -> Wire:
    return {"endpoint": endpoint_to_wire(await catalog.show_endpoint(tx, settings, endpoint_id), base_url(request))}


@post("/v3/endpoints", status_code=201)
async def create_endpoint(request: AnyRequest, tx: Transaction, settings: Settings, caller: Caller) -> Wire:
    given = decode_resource(await request.body(), "endpoint", EndpointBody, "service_id", "interface", "url")
    made = await catalog.create_endpoint(tx, settings, caller, given.fields, given.extra)
    return {"endpoint": endpoint_to_wire(made, base_url(request))}


@patch("/v3/endpoints/{endpoint_id:str}")
async def change_endpoint(
    request: AnyRequest, endpoint_id: str, tx: Transaction, settings: Settings, caller: Caller
) -> Wire:
    body = await request.body()
    require_same_id(body, "endpoint", endpoint_id)
    given = decode_resource(body, "endpoint", EndpointBody)
    changed = await catalog.change_endpoint(tx, settings, caller, endpoint_id, given.fields, given.extra)
    return {"endpoint": endpoint_to_wire(changed, base_url(request))}


@delete("/v3/endpoints/{endpoint_id:str}", status_code=204)
async def delete_endpoint(endpoint_id: str, tx: Transaction, settings: Settings, caller: Caller) -> None:
    await catalog.delete_endpoint(tx, settings, caller, endpoint_id)


@route("/v3/regions", http_method=READ)
async def list_regions(request: AnyRequest, tx: Transaction, settings: Settings) -> Wire:
    found = await catalog.list_regions(tx, settings, parent_id=request.query_params.get("parent_region_id"))
    return _list(request, "regions", [region_to_wire(each, base_url(request)) for each in found])


@route("/v3/regions/{region_id:str}", http_method=READ)
async def show_region(request: AnyRequest, region_id: str, tx: Transaction, settings: Settings) -> Wire:
    return {"region": region_to_wire(await catalog.show_region(tx, settings, region_id), base_url(request))}


@post("/v3/regions", status_code=201)
async def create_region(request: AnyRequest, tx: Transaction, settings: Settings, caller: Caller) -> Wire:
    given = decode_resource(
        await request.body() or b'{"region":{}}', "region", RegionBody, extras=True, may_be_empty=True
    )
    made = await catalog.create_region(tx, settings, caller, given.fields, given.extra)
    return {"region": region_to_wire(made, base_url(request))}


@put("/v3/regions/{region_id:str}", status_code=201)
async def create_region_with_id(
    request: AnyRequest, region_id: str, tx: Transaction, settings: Settings, caller: Caller
) -> Wire:
    given = decode_resource(await request.body(), "region", RegionBody, may_be_empty=True)
    if given.fields.get("id") not in (None, region_id):
        raise InvalidInputError("Conflicting region IDs specified.", field="id")
    made = await catalog.create_region(tx, settings, caller, given.fields | {"id": region_id}, given.extra)
    return {"region": region_to_wire(made, base_url(request))}


@patch("/v3/regions/{region_id:str}")
async def change_region(
    request: AnyRequest, region_id: str, tx: Transaction, settings: Settings, caller: Caller
) -> Wire:
    body = await request.body()
    require_same_id(body, "region", region_id)
    given = decode_resource(body, "region", RegionBody)
    changed = await catalog.change_region(tx, settings, caller, region_id, given.fields, given.extra)
    return {"region": region_to_wire(changed, base_url(request))}


@delete("/v3/regions/{region_id:str}", status_code=204)
async def delete_region(region_id: str, tx: Transaction, settings: Settings, caller: Caller) -> None:
    await catalog.delete_region(tx, settings, caller, region_id)


catalog_handlers = [
    list_services,
    show_service,
    create_service,
    change_service,
    delete_service,
    list_endpoints,
    show_endpoint,
    create_endpoint,
    change_endpoint,
    delete_endpoint,
    list_regions,
    show_region,
    create_region,
    create_region_with_id,
    change_region,
    delete_region,
]
