"""cloudvolumes and their jobs on the wire of EVS.

Source: as evs.py.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from stillframe.api import enterprise_projects
from stillframe.api.compute_v2.queries import is_true
from stillframe.api.volume_v3 import wire as cinder
from stillframe.api.volume_v3.requests import TYPE_NAMES, Key, Text, checked_metadata
from stillframe.errors import InvalidInputError, NotOfferedError
from stillframe.jobs.model import Job, JobState
from stillframe.kit.clock import iso_millis_z
from stillframe.kit.ids import is_uuid
from stillframe.servers.growth import EXTEND_KIND
from stillframe.volumes.creation import CLONE_KIND, CREATE_KIND, NewVolume
from stillframe.volumes.evs_jobs import BATCH_KIND, DELETE_KIND, MAX_VOLUMES
from stillframe.volumes.model import VOLUME_TYPES, Volume, VolumeQuery
from stillframe.volumes.snapshots import KIND as SNAPSHOT_KIND

Json = dict[str, Any]
MAX_TAGS = 10

_JOB_TYPES = {
    CREATE_KIND: "createVolume",
    CLONE_KIND: "createVolume",
    BATCH_KIND: "batchCreateVolume",
    DELETE_KIND: "deleteVolume",
    EXTEND_KIND: "extendVolume",
    SNAPSHOT_KIND: "createSnapshot",
}
_STATUS = {
    JobState.QUEUED: "INIT",
    JobState.RUNNING: "RUNNING",
    JobState.CANCELLING: "RUNNING",
    JobState.SUCCEEDED: "SUCCESS",
    JobState.FAILED: "FAIL",
    JobState.CANCELLED: "FAIL",
}


class Wanted(Struct, rename={"image_ref": "imageRef"}):
    availability_zone: str | None = None
    volume_type: str | None = None
    size: int | float | str | None = None
    name: str | None = None
    description: str | None = None
    image_ref: str | None = None
    snapshot_id: str | None = None
    backup_id: str | None = None
    count: int | None = None
    metadata: dict[Key, Text] | None = None
    multiattach: bool | None = None
    shareable: bool | str | None = None
    tags: dict[str, str] | None = None


class CreateBody(Struct):
    volume: Wanted
    server_id: str | None = None


class Changes(Struct):
    name: str | None = None
    description: str | None = None


class ChangesBody(Struct):
    volume: Changes


class Tag(Struct):
    key: str
    value: str | None = None


class TagsAction(Struct):
    action: str
    tags: list[Tag]


class OldTags(Struct):
    tags: dict[str, str]


def new_volumes(body: CreateBody) -> tuple[NewVolume, int]:
    """And how many of them. Raises: InvalidInputError naming the field, NotOfferedError."""
    wanted = body.volume
    if body.server_id:
        raise NotOfferedError("A volume is attached by a request of its own: leave server_id out.")
    if not wanted.availability_zone:
        raise InvalidInputError("invalid availability zone!", field="availability_zone")
    if wanted.volume_type not in VOLUME_TYPES:
        raise InvalidInputError("invalid volume type!", field="volume_type")
    sources = [source for source in (wanted.image_ref, wanted.snapshot_id, wanted.backup_id) if source]
    if len(sources) > 1:
        message = "Invalid input received: May specify only one of imageRef, snapshot_id, backup_id!"
        raise InvalidInputError(message, field="source")
    if wanted.backup_id:
        raise NotOfferedError("There are no volume backups in this deployment.")
    if wanted.multiattach or wanted.shareable in {True, "true", "True"}:
        raise NotOfferedError("A volume can be attached to one server at a time.")
    if (wanted.metadata or {}).get("__system__encrypted") == "1":
        raise NotOfferedError("Volumes cannot be encrypted in this deployment.")
    if any(not is_uuid(source) for source in sources):
        raise InvalidInputError("The source of a volume must be a uuid.", field="source")
    count = 1 if wanted.count is None else wanted.count
    if not 1 <= count <= MAX_VOLUMES:
        raise InvalidInputError(f"count must be between 1 and {MAX_VOLUMES}.", field="count")
    new = NewVolume(
        **changes_of(Changes(name=wanted.name or "", description=wanted.description or "")),
        size_gib=_whole_size(wanted.size),
        volume_type=wanted.volume_type,
        availability_zone=wanted.availability_zone,
        metadata=checked_metadata(wanted.metadata or {}),
        tags=checked_tags(wanted.tags or {}),
        image_id=wanted.image_ref or None,
        snapshot_id=wanted.snapshot_id or None,
    )
    return new, count


def _whole_size(size: float | str | None) -> int:
    """Decimals are cut off."""
    try:
        whole = int(float(size)) if size is not None else 0
    except (ValueError, OverflowError):
        whole = 0
    if not 0 < whole < 2**31:
        raise InvalidInputError("invalid volume size!", field="size")
    return whole


def changes_of(changes: Changes) -> dict[str, Any]:
    """What is given, checked. Raises: InvalidInputError."""
    if changes.name is not None and len(changes.name) > 255:
        raise InvalidInputError("invalid volume name!", field="name")
    if changes.description is not None and len(changes.description.encode("utf-8", "replace")) > 255:
        raise InvalidInputError("invalid volume description!", field="description")
    given = {"name": changes.name, "description": changes.description}
    return {name: value for name, value in given.items() if value is not None}


def checked_tags(tags: dict[str, str]) -> dict[str, str]:
    """Raises: InvalidInputError."""
    if len(tags) > MAX_TAGS or any(not 1 <= len(key) <= 36 or len(value) > 43 for key, value in tags.items()):
        raise InvalidInputError(
            f"A volume has at most {MAX_TAGS} tags, with keys of 1 to 36 characters and values of up to 43.",
            field="tags",
        )
    return tags


def narrowed(query: VolumeQuery, given: dict[str, str]) -> VolumeQuery:
    """By what EVS has beyond Cinder."""
    if "ids" in given:
        ids = [text.strip(" []'\"") for text in given["ids"].split(",")]
        query = replace(query, ids=tuple(one for one in ids if one))
    if is_true(given.get("shareable")):  # no volume is
        query = replace(query, ids=())
    if "volume_type_id" in given:
        query = replace(query, volume_type=TYPE_NAMES.get(given["volume_type_id"], ""))
    return replace(query, server_id=given["server_id"]) if "server_id" in given else query


def volume_to_wire(volume: Volume, base: str) -> Json:
    return cinder.volume_to_wire(volume, base) | {
        "os-volume-replication:extended_status": None,
        "shareable": "false",
        "wwn": None,
        "service_type": "EVS",
        "enterprise_project_id": enterprise_projects.DEFAULT,
        "tags": volume.tags,
        "serial_number": volume.id[:20],
    }


def job_to_wire(job: Job, parts: Sequence[Job]) -> Json:
    entities: Json = {name: value for name, value in job.result.items() if name != "volume_ids"}
    if not entities and "volume_id" in job.args:
        entities = {"volume_id": job.args["volume_id"]}
    if parts:
        entities = {"sub_jobs_total": len(parts), "sub_jobs": [job_to_wire(part, ()) for part in parts]}
    failed = job.finished_at is not None and job.error_code is not None
    return {
        "status": _STATUS[job.state],
        "entities": entities,
        "job_id": job.id,
        "job_type": _JOB_TYPES.get(job.kind, job.kind),
        "begin_time": iso_millis_z(job.created_at),
        "end_time": iso_millis_z(job.finished_at) if job.finished_at else "",
        "error_code": "EVS.2024" if failed else None,
        "fail_reason": job.error_message if failed else None,
    }
