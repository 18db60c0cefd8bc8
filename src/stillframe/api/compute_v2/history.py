"""os-instance-actions: what has been done to a server.

Source: OpenStack Compute API reference, "Servers actions"; Open Telekom Cloud, ECS API reference, "Listing Actions on
an ECS".
"""

import uuid
from typing import Any

from litestar import Request, get

from stillframe.api.compute_v2 import microversions as mv
from stillframe.api.compute_v2.discovery import base_url
from stillframe.api.compute_v2.microversions import Microversion
from stillframe.api.compute_v2.queries import next_page, parsed_limit, query_pairs
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NotFoundError
from stillframe.identity.model import Caller
from stillframe.jobs.model import FINAL, Job, JobState
from stillframe.kit.clock import iso_micros
from stillframe.servers import history

Json = dict[str, Any]

_NAMES = {
    "server_create": "create",
    "server_change_os": "rebuild",
    "soft reboot": "reboot",
    "hard reboot": "reboot",
    "revert resize": "revertResize",
}
_RESULTS = {JobState.SUCCEEDED: "Success"}


@get("/servers/{server_id:str}/os-instance-actions")
async def list_actions(
    request: Request[Any, Any, Any], server_id: str, tx: Transaction, caller: Caller, version: Microversion
) -> Json:
    found = [_to_wire(job, server_id, version) for job in await history.list_actions(tx, caller, server_id)]
    if version < mv.PAGED_ACTIONS:
        return {"instanceActions": found}
    pairs = query_pairs(request)
    given = dict(pairs)
    if marker := given.get("marker"):
        ids = [action["request_id"] for action in found]
        if marker not in ids:
            raise InvalidInputError(f"Marker {marker[:64]} not found", field="marker")
        found = found[ids.index(marker) + 1 :]
    page = found[: parsed_limit(given.get("limit"))]
    if not page or len(page) == len(found):
        return {"instanceActions": page}
    links = next_page(f"{base_url(request)}{request.scope['path']}", pairs, page[-1]["request_id"])
    return {"instanceActions": page, "links": links}


@get("/servers/{server_id:str}/os-instance-actions/{request_id:str}")
async def show_action(server_id: str, request_id: str, tx: Transaction, caller: Caller, version: Microversion) -> Json:
    for job in await history.list_actions(tx, caller, server_id):
        if _request_id(job) == request_id:
            return {"instanceAction": {**_to_wire(job, server_id, version), "events": [_event(job)]}}
    raise NotFoundError(f"Action for request_id {request_id[:64]} on instance {server_id[:255]} could not be found.")


def _to_wire(job: Job, server_id: str, version: Microversion) -> Json:
    shown: Json = {
        "instance_uuid": server_id.lower(),
        "user_id": job.user_id,
        "project_id": job.project_id,
        "start_time": iso_micros(job.created_at),
        "request_id": _request_id(job),
        "action": _name(job),
        "message": "Error" if job.state in {JobState.FAILED, JobState.CANCELLED} else None,
    }
    if version >= mv.PAGED_ACTIONS:
        shown["updated_at"] = iso_micros(job.finished_at or job.started_at or job.created_at)
    return shown


def _request_id(job: Job) -> str:
    """What Nova calls a request is one job here."""
    return f"req-{uuid.UUID(job.id)}"


def _name(job: Job) -> str:
    if job.kind.startswith("image_capture"):
        return "createImage"
    said = str(job.args.get("action") or job.kind)
    return _NAMES.get(said, said)


def _event(job: Job) -> Json:
    return {
        "event": job.kind,
        "start_time": iso_micros(job.started_at or job.created_at),
        "finish_time": iso_micros(job.finished_at) if job.finished_at else None,
        "result": _RESULTS.get(job.state, "Error") if job.state in FINAL else None,
        "traceback": None,
        "details": job.error_message,
    }


handlers = [list_actions, show_action]
