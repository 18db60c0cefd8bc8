"""Tasks: the imports of images, for administrators all of them, and for everybody those of one image."""

from typing import Any

from litestar import Request, Response, get, post

from stillframe.api.image_v2 import wire
from stillframe.api.image_v2.discovery import base_url
from stillframe.api.image_v2.kinds import checked_text
from stillframe.api.image_v2.pages import page_limit, page_links
from stillframe.api.image_v2.routes import query_pairs
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError
from stillframe.identity.model import Caller
from stillframe.images import imports, tasks
from stillframe.images import service as images
from stillframe.images.tasks import Task, TaskQuery, TaskStatus
from stillframe.kit.clock import iso_seconds_z
from stillframe.kit.request_id import REQUEST_ID

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]

_TYPES = (imports.LEGACY_KIND, imports.KIND)


@post("/v2/tasks", status_code=201)
async def create_task(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> Response[Json]:
    """Makes an image and imports its data from a URL; the only type of task that can be created as such."""
    tasks.require_tasks_access(caller)
    given = _task_input(wire.decode_object(await request.body()))
    image = wire.described_image(images.new_image(caller), given["image_properties"], settings)
    job = await imports.submit_legacy_import(
        tx, caller, settings, image, given["import_from"], shown=given, request_id=REQUEST_ID.get()
    )
    task = tasks.task_of_job(job, settings)
    location = f"{base_url(request)}/v2/tasks/{task.id}"
    return Response(task_to_wire(task), status_code=201, headers={"Location": location})


def _task_input(body: Json) -> Json:
    """Raises: InvalidInputError."""
    if set(body) != {"type", "input"}:
        raise InvalidInputError("A task has a 'type' and an 'input', and nothing else.")
    if body["type"] != imports.LEGACY_KIND:
        raise InvalidInputError("Only tasks of the type 'import' can be created.", field="type")
    given = body["input"]
    if not isinstance(given, dict) or not isinstance(given.get("image_properties"), dict):
        raise InvalidInputError("The 'input' must be an object that has 'image_properties', an object.", field="input")
    for name in ("import_from", "import_from_format"):
        checked_text(name, given.get(name), 2048)
    return {name: given[name] for name in ("import_from", "import_from_format", "image_properties")}


@get("/v2/tasks")
async def list_tasks(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    tasks.require_tasks_access(caller)
    pairs = query_pairs(request)
    query = _task_query(dict(pairs))
    page = await tasks.list_tasks(tx, caller, settings, query)
    last_id = page[-1].id if page and len(page) == query.limit else None
    return {
        "tasks": [task_stub_to_wire(task) for task in page],
        **page_links("/v2/tasks", pairs, last_id),
        "schema": "/v2/schemas/tasks",
    }


def _task_query(given: dict[str, str]) -> TaskQuery:
    """Raises: InvalidInputError."""
    if given.get("sort_dir", "desc") not in {"asc", "desc"}:
        raise InvalidInputError("'sort_dir' must be asc or desc.", field="sort_dir")
    if given.get("sort_key", "created_at") not in tasks.SORTS:
        raise InvalidInputError(f"'sort_key' must be one of {', '.join(tasks.SORTS)}.", field="sort_key")
    status, kind, marker = given.get("status"), given.get("type"), given.get("marker")
    if status is not None and status not in set(TaskStatus):
        raise InvalidInputError("'status' must be pending, processing, success or failure.", field="status")
    if kind is not None and kind not in _TYPES:
        raise InvalidInputError(f"'type' must be one of {', '.join(_TYPES)}.", field="type")
    return TaskQuery(
        limit=page_limit(given.get("limit")),
        marker=None if marker is None else checked_text("marker", marker),
        sort_key=given.get("sort_key", "created_at"),
        descending=given.get("sort_dir") != "asc",
        status=TaskStatus(status) if status else None,
        type=kind,
    )


@get("/v2/tasks/{task_id:str}")
async def show_task(task_id: str, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    return task_to_wire(await tasks.get_task(tx, caller, settings, task_id))


@get("/v2/images/{image_id:str}/tasks")
async def list_tasks_of_image(image_id: str, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    found = await tasks.list_tasks_of_image(tx, caller, settings, image_id)
    return {"tasks": [task_to_wire(task) | {"image_id": task.image_id} for task in found]}


def task_stub_to_wire(task: Task) -> Json:
    expires = {"expires_at": iso_seconds_z(task.expires_at)} if task.expires_at else {}
    return {
        "id": task.id,
        "type": task.type,
        "status": str(task.status),
        "owner": task.project_id,
        "created_at": iso_seconds_z(task.created_at),
        "updated_at": iso_seconds_z(task.updated_at),
        "self": f"/v2/tasks/{task.id}",
        "schema": "/v2/schemas/task",
        **expires,
    }


def task_to_wire(task: Task) -> Json:
    """A task that makes its image names it in its result only."""
    about = {"image_id": task.image_id} if task.type == imports.KIND else {}
    return {
        **task_stub_to_wire(task),
        "input": task.input,
        "result": task.result,
        "message": task.message,
        "request_id": task.request_id,
        "user_id": task.user_id,
        **about,
    }


def _stub_properties() -> Json:
    text = {"type": "string"}
    return {
        **dict.fromkeys(("id", "owner", "image_id", "request_id", "user_id", "created_at", "updated_at"), text),
        "type": {**text, "enum": [*_TYPES]},
        "status": {**text, "enum": [status.value for status in TaskStatus]},
        "expires_at": {"type": ["null", "string"]},
        "self": {**text, "readOnly": True},
        "schema": {**text, "readOnly": True},
    }


def task_schema() -> Json:
    blob = {"type": ["null", "object"]}
    return {
        "name": "task",
        "properties": {**_stub_properties(), "input": blob, "result": blob, "message": {"type": "string"}},
        "additionalProperties": False,
    }


def tasks_schema() -> Json:
    items = {"name": "task", "properties": _stub_properties(), "additionalProperties": False}
    return wire.list_schema("tasks", items)


handlers = [create_task, list_tasks, show_task, list_tasks_of_image]
