"""Volumes, types and quotas as Cinder shows them. Times have no zone, for some clients cannot read one.

Source: OpenStack Block Storage API v3 reference; Open Telekom Cloud, EVS API reference.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from stillframe.api.compute_v2.bodies import MAX_INT
from stillframe.api.compute_v2.queries import is_true, parsed_count, parsed_limit
from stillframe.api.volume_v3.requests import TYPE_IDS
from stillframe.config import Settings
from stillframe.errors import InvalidInputError
from stillframe.kit.clock import iso_micros
from stillframe.volumes.model import (
    VOLUME_TYPES,
    Attachment,
    Snapshot,
    SnapshotStatus,
    SortKey,
    Volume,
    VolumeQuery,
    VolumeStatus,
)
from stillframe.volumes.service import VolumeUsage

Json = dict[str, Any]

_METADATA_KEY = re.compile(r"[^\x00\"\\]{1,255}")
_SORT_KEYS = {
    "created_at": SortKey.CREATED_AT,
    "updated_at": SortKey.UPDATED_AT,
    "id": SortKey.ID,
    "name": SortKey.NAME,
    "display_name": SortKey.NAME,
    "size": SortKey.SIZE,
    "status": SortKey.STATUS,
    "volume_type": SortKey.VOLUME_TYPE,
    "bootable": SortKey.BOOTABLE,
    "availability_zone": SortKey.AVAILABILITY_ZONE,
}


def brief_volume(volume: Volume, base: str) -> Json:
    path = f"{volume.project_id}/volumes/{volume.id}"
    return {
        "id": volume.id,
        "name": volume.name,
        "links": [{"rel": "self", "href": f"{base}/v3/{path}"}, {"rel": "bookmark", "href": f"{base}/{path}"}],
    }


def volume_to_wire(volume: Volume, base: str) -> Json:
    """With what Cinder's extensions add, which is told by who shows a volume and not by who changes it."""
    shown = changed_volume(volume, base) | {"os-vol-tenant-attr:tenant_id": volume.project_id}
    if volume.image_metadata is not None:
        shown["volume_image_metadata"] = volume.image_metadata
    return shown


def changed_volume(volume: Volume, base: str) -> Json:
    return {
        **brief_volume(volume, base),
        "description": volume.description or None,
        "size": volume.size_gib,
        "status": str(volume.status),
        "volume_type": volume.volume_type,
        "availability_zone": volume.availability_zone,
        "bootable": "true" if volume.bootable else "false",
        "encrypted": False,
        "multiattach": False,
        "snapshot_id": volume.snapshot_id,
        "source_volid": volume.source_volume_id,
        "metadata": volume.metadata,
        "attachments": [_attachment(volume, volume.attachment)] if volume.attachment else [],
        "created_at": iso_micros(volume.created_at),
        "updated_at": iso_micros(volume.updated_at),
        "user_id": volume.user_id,
        "replication_status": "disabled",
        "consistencygroup_id": None,
    }


def _attachment(volume: Volume, attachment: Attachment) -> Json:
    return {
        "id": volume.id,
        "attachment_id": attachment.id,
        "volume_id": volume.id,
        "server_id": attachment.server_id,
        "host_name": None,
        "device": attachment.device,
        "attached_at": iso_micros(attachment.attached_at),
    }


def attachment_to_wire(volume: Volume, *, detailed: bool = True) -> Json:
    """Of an attached volume, as an object of its own."""
    attachment = volume.attachment
    if attachment is None:
        return {}
    is_done = volume.status not in {VolumeStatus.ATTACHING, VolumeStatus.DETACHING}
    shown = {
        "id": attachment.id,
        "status": "attached" if is_done else str(volume.status),
        "instance": attachment.server_id,
        "volume_id": volume.id,
    }
    if not detailed:
        return shown
    more: Json = {
        "attached_at": iso_micros(attachment.attached_at),
        "detached_at": None,
        "attach_mode": "rw",
        "connection_info": {},
    }
    return shown | more


def snapshot_to_wire(snapshot: Snapshot, *, detailed: bool = True) -> Json:
    shown: Json = {
        "id": snapshot.id,
        "name": snapshot.name,
        "description": snapshot.description or None,
        "volume_id": snapshot.volume_id,
        "size": snapshot.size_gib,
        "status": str(snapshot.status),
        "metadata": snapshot.metadata,
        "created_at": iso_micros(snapshot.created_at),
        "updated_at": iso_micros(snapshot.updated_at),
    }
    if not detailed:
        return shown
    is_done = snapshot.status is SnapshotStatus.AVAILABLE
    return shown | {
        "os-extended-snapshot-attributes:progress": "100%" if is_done else "0%",
        "os-extended-snapshot-attributes:project_id": snapshot.project_id,
        "user_id": snapshot.user_id,
        "group_snapshot_id": None,
        "consumes_quota": True,
    }


def upload_to_wire(volume: Volume, image: Mapping[str, Any]) -> Json:
    return {
        "id": volume.id,
        "image_id": image["image_id"],
        "image_name": image["image_name"],
        "container_format": "bare",
        "disk_format": "qcow2",
        "status": str(volume.status),
        "size": volume.size_gib,
        "display_description": volume.description or None,
        "updated_at": iso_micros(volume.updated_at),
        "volume_type": type_to_wire(volume.volume_type, volume.availability_zone),
    }


def volume_query(pairs: list[tuple[str, str]]) -> VolumeQuery:
    """Raises: InvalidInputError."""
    given = dict(pairs)
    sort_key, descending = _sort(given)
    return VolumeQuery(
        name=given.get("name"),
        status=given.get("status"),
        availability_zone=given.get("availability_zone"),
        volume_type=given.get("volume_type"),
        bootable=is_true(given["bootable"]) if "bootable" in given else None,
        snapshot_id=given.get("snapshot_id"),
        ids=(given["id"],) if "id" in given else None,
        metadata=_metadata_filter(given.get("metadata")),
        every_project=is_true(given.get("all_tenants")),
        marker=given.get("marker") or None,
        offset=parsed_offset(given.get("offset")),
        limit=parsed_limit(given.get("limit")),
        sort_key=sort_key,
        descending=descending,
    )


def parsed_offset(text: str | None) -> int:
    """Raises: InvalidInputError."""
    offset = parsed_count("offset", text or "0")
    if offset > MAX_INT:
        raise InvalidInputError(f"offset must be at most {MAX_INT}", field="offset")
    return offset


def _sort(given: dict[str, str]) -> tuple[SortKey, bool]:
    """`sort=size:asc,name`, of which the first counts, or the older pair of `sort_key` and `sort_dir`."""
    key, _, direction = given.get("sort", "").split(",")[0].partition(":")
    key = key or given.get("sort_key") or "created_at"
    direction = direction or given.get("sort_dir") or "desc"
    if key not in _SORT_KEYS or direction not in {"asc", "desc"}:
        wrong = "sort_dir" if key in _SORT_KEYS else "sort_key"
        raise InvalidInputError(f"Volumes can be sorted by {', '.join(_SORT_KEYS)}, asc or desc", field=wrong)
    return _SORT_KEYS[key], direction == "desc"


def _metadata_filter(text: str | None) -> tuple[tuple[str, str], ...]:
    """`{"key": "value"}`, or with single quotes, as older clients write it."""
    if not text:
        return ()
    try:
        plain = msgspec.json.decode(text.replace("'", '"'))
        wanted = msgspec.convert(plain, dict[str, str])
    except (msgspec.MsgspecError, RecursionError):
        raise InvalidInputError("The filter metadata must be an object of texts.", field="metadata") from None
    if any(not _METADATA_KEY.fullmatch(key) or "\x00" in value for key, value in wanted.items()):
        raise InvalidInputError("The filter metadata names a key that no volume can have.", field="metadata")
    return tuple(wanted.items())


def volume_types_to_wire(zone: str) -> list[Json]:
    return [type_to_wire(name, zone) for name in VOLUME_TYPES]


def type_to_wire(name: str, zone: str) -> Json:
    """Terraform's provider for OTC looks in `extra_specs` for the zones that a type is to be had in.

    Source: EVS, "Querying EVS Disk Types".
    """
    return {
        "id": TYPE_IDS[name],
        "name": name,
        "description": None,
        "is_public": True,
        "os-volume-type-access:is_public": True,
        "qos_specs_id": None,
        "extra_specs": {"volume_backend_name": name, "RESKEY:availability_zones": zone},
    }


def default_quotas(settings: Settings) -> VolumeUsage:
    return VolumeUsage(
        volumes=0,
        volumes_limit=settings.volume_quota,
        snapshots=0,
        snapshots_limit=settings.snapshot_quota,
        size_bytes=0,
        size_limit_gib=settings.volume_quota_gib,
    )


def quotas_to_wire(usage: VolumeUsage, *, project_id: str | None = None, with_usage: bool = False) -> Json:
    """Whoever sets them is not told whose they are."""
    counted = {
        "volumes": (usage.volumes_limit, usage.volumes),
        "gigabytes": (usage.size_limit_gib, usage.size_gib),
        "snapshots": (usage.snapshots_limit, usage.snapshots),
        "backups": (0, 0),
        "backup_gigabytes": (0, 0),
        "per_volume_gigabytes": (-1, 0),
        "groups": (0, 0),
    }
    shown: Json = {name: limit for name, (limit, _) in counted.items()}
    if with_usage:
        shown = {name: {"limit": limit, "in_use": used, "reserved": 0} for name, (limit, used) in counted.items()}
    return {"quota_set": {**({"id": project_id} if project_id else {}), **shown}}


def limits_to_wire(usage: VolumeUsage) -> Json:
    absolute = {
        "maxTotalVolumes": usage.volumes_limit,
        "maxTotalVolumeGigabytes": usage.size_limit_gib,
        "maxTotalSnapshots": usage.snapshots_limit,
        "maxTotalBackups": 0,
        "maxTotalBackupGigabytes": 0,
        "totalVolumesUsed": usage.volumes,
        "totalGigabytesUsed": usage.size_gib,
        "totalSnapshotsUsed": usage.snapshots,
        "totalBackupsUsed": 0,
        "totalBackupGigabytesUsed": 0,
    }
    return {"limits": {"rate": [], "absolute": absolute}}
