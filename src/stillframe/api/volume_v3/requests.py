"""The bodies of Cinder's volumes: what they may hold, and what they mean.

Source: OpenStack Block Storage API v3 reference, "Create a volume", "Update a volume".
"""

import re
from typing import Annotated

from msgspec import Meta, Struct, field

from stillframe.api.compute_v2.bodies import int_of
from stillframe.errors import InvalidInputError, NotOfferedError
from stillframe.kit.ids import derived_uuid, is_uuid
from stillframe.volumes.creation import NewVolume
from stillframe.volumes.model import VOLUME_TYPES

MAX_METADATA_ITEMS = 128

Text = Annotated[str, Meta(max_length=255)]
Key = Annotated[str, Meta(min_length=1, max_length=255)]

TYPE_IDS = {name: derived_uuid("volume-type", name) for name in VOLUME_TYPES}
TYPE_NAMES = {type_id: name for name, type_id in TYPE_IDS.items()}
_NAMES = {**{name: name for name in VOLUME_TYPES}, **TYPE_NAMES}
_UNSEARCHABLE = re.compile(r'["\\]')


class VolumeWanted(Struct):
    size: int | str | None = None
    name: Text | None = None
    display_name: Text | None = None
    description: Text | None = None
    display_description: Text | None = None
    volume_type: Text | None = None
    availability_zone: Text | None = None
    metadata: dict[Key, Text] | None = None
    image_ref: Text | None = field(default=None, name="imageRef")
    image_id: Text | None = None
    snapshot_id: Text | None = None
    source_volid: Text | None = None
    backup_id: Text | None = None
    consistencygroup_id: Text | None = None
    group_id: Text | None = None
    multiattach: bool | None = None


class CreateVolumeBody(Struct):
    volume: VolumeWanted


class VolumeChanges(Struct):
    name: Text | None = None
    display_name: Text | None = None
    description: Text | None = None
    display_description: Text | None = None
    metadata: dict[Key, Text] | None = None


class VolumeChangesBody(Struct):
    volume: VolumeChanges


class MetadataBody(Struct):
    metadata: dict[Key, Text]


class MetadataItemBody(Struct):
    meta: dict[Key, Text]


def new_volume(wanted: VolumeWanted) -> NewVolume:
    """Raises: InvalidInputError, NotOfferedError."""
    if wanted.multiattach:
        raise NotOfferedError("A volume can be attached to one server at a time (multiattach must be false).")
    if wanted.backup_id or wanted.consistencygroup_id or wanted.group_id:
        raise NotOfferedError("There are no volume backups and no groups of volumes in this deployment.")
    sources = {
        "imageRef": wanted.image_ref or wanted.image_id or None,
        "snapshot_id": wanted.snapshot_id or None,
        "source_volid": wanted.source_volid or None,
    }
    given = [name for name, value in sources.items() if value]
    if len(given) > 1:
        raise InvalidInputError(f"Invalid input received: only one of {', '.join(sources)} may be given.")
    for name in given:
        _require_uuid(name, sources[name] or "")
    size_gib = int_of(wanted.size, "size")
    if size_gib is None and not (wanted.snapshot_id or wanted.source_volid):
        raise InvalidInputError("Invalid input received: size must be given.", field="size")
    return NewVolume(
        name=wanted.name or wanted.display_name or "",
        description=wanted.description or wanted.display_description or "",
        size_gib=size_gib,
        volume_type=type_name(wanted.volume_type),
        availability_zone=wanted.availability_zone or None,
        metadata=checked_metadata(wanted.metadata or {}),
        image_id=sources["imageRef"],
        snapshot_id=sources["snapshot_id"],
        source_volume_id=sources["source_volid"],
    )


def type_name(name_or_id: str | None) -> str | None:
    """Raises: InvalidInputError."""
    if not name_or_id:
        return None
    if name_or_id not in _NAMES:
        raise InvalidInputError(f"Volume type {name_or_id[:255]} could not be found.", field="volume_type")
    return _NAMES[name_or_id]


def checked_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """Raises: InvalidInputError."""
    if len(metadata) > MAX_METADATA_ITEMS:
        raise InvalidInputError(f"A volume has at most {MAX_METADATA_ITEMS} metadata items.", field="metadata")
    if any(_UNSEARCHABLE.search(key) for key in metadata):
        raise InvalidInputError("The keys of metadata cannot have quotes or backslashes.", field="metadata")
    return metadata


def _require_uuid(name: str, value: str) -> None:
    if not is_uuid(value):
        raise InvalidInputError(f"Invalid input received: {name} must be a uuid.", field=name)
