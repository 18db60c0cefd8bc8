"""Quotas: decode, one service call, encode."""

from typing import Any

from litestar import Request, delete, get, put

from stillframe.api.compute_v2.bodies import decode_object, limit_of
from stillframe.api.network_v2 import wire
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError
from stillframe.identity.model import Caller
from stillframe.networks import quotas
from stillframe.networks.model import Quotas

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]

_HOW = frozenset({"tenant_id", "project_id", "force", "check_limit"})


@get("/v2.0/quotas")
async def list_quotas(tx: Transaction, caller: Caller) -> Json:
    """The projects whose quotas were set."""
    found = await quotas.list_quotas(tx, caller)
    return {
        "quotas": [
            {**wire.quotas_to_wire(limits), "project_id": project_id, "tenant_id": project_id}
            for project_id, limits in found.items()
        ]
    }


@get("/v2.0/quotas/{of_project:str}")
async def show_quotas(of_project: str, tx: Transaction, caller: Caller) -> Json:
    return {"quota": wire.quotas_to_wire(await quotas.get_quotas(tx, caller, of_project))}


@get("/v2.0/quotas/{of_project:str}/default")
async def show_default_quotas(of_project: str, tx: Transaction, caller: Caller) -> Json:
    await quotas.get_quotas(tx, caller, of_project)
    return {"quota": wire.quotas_to_wire(Quotas())}


@get(["/v2.0/quotas/{of_project:str}/details", "/v2.0/quotas/{of_project:str}/details.json"])
async def show_quota_details(of_project: str, tx: Transaction, caller: Caller) -> Json:
    return {"quota": wire.usage_to_wire(await quotas.get_usage(tx, caller, of_project))}


@put("/v2.0/quotas/{of_project:str}")
async def update_quotas(request: AnyRequest, of_project: str, tx: Transaction, caller: Caller) -> Json:
    plain = decode_object(await request.body()).get("quota")
    if not isinstance(plain, dict) or not plain:
        raise InvalidInputError("Unable to find 'quota' in request body", field="quota")
    limits = {name: limit_of(name, value) for name, value in plain.items() if name not in _HOW}
    changed = await quotas.set_quotas(tx, caller, of_project, limits, check_usage=plain.get("check_limit") is True)
    return {"quota": wire.quotas_to_wire(changed)}


@delete("/v2.0/quotas/{of_project:str}")
async def reset_quotas(of_project: str, tx: Transaction, caller: Caller) -> None:
    await quotas.reset_quotas(tx, caller, of_project)


handlers = [
    list_quotas,
    show_quotas,
    show_default_quotas,
    show_quota_details,
    update_quotas,
    reset_quotas,
]
