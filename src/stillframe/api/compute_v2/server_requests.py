"""POST /servers on the wire: what its body may hold, and what it means.

Source: OpenStack Compute API reference, "Create Server".
"""

import base64
import binascii
import secrets
from typing import Annotated

from msgspec import Meta, Struct, field

from stillframe.api.compute_v2.block_devices import BlockDevice, wanted_disks
from stillframe.api.compute_v2.bodies import int_of
from stillframe.errors import InvalidInputError, NotOfferedError
from stillframe.networks.ports import WantedNic
from stillframe.servers.model import NewServer
from stillframe.servers.tagging import MAX_TAG_LENGTH, MAX_TAGS, checked_tag

MAX_USER_DATA_LENGTH = 65535

Text = Annotated[str, Meta(max_length=255)]
Key = Annotated[str, Meta(min_length=1, max_length=255)]
Tag = Annotated[str, Meta(min_length=1, max_length=MAX_TAG_LENGTH)]


class NetworkWanted(Struct):
    uuid: str | None = None
    port: str | None = None
    fixed_ip: str | None = None


class NameRef(Struct):
    name: Text | None = None


class ServerWanted(Struct):
    name: Key
    flavor_ref: str | int = field(name="flavorRef")
    image_ref: str | None = field(default=None, name="imageRef")
    block_device_mapping_v2: list[BlockDevice] | None = None
    block_device_mapping: list[object] | None = None
    networks: list[NetworkWanted] | str | None = None
    key_name: Text | None = None
    user_data: Annotated[str, Meta(max_length=MAX_USER_DATA_LENGTH)] | None = None
    security_groups: list[NameRef] | None = None
    metadata: dict[Key, Text] | None = None
    availability_zone: Text | None = None
    min_count: int | str | None = None
    max_count: int | str | None = None
    admin_pass: Text | None = field(default=None, name="adminPass")
    description: Text | None = None
    tags: list[Tag] | None = None
    personality: list[object] | None = None
    config_drive: bool | str | None = None
    return_reservation_id: bool | str | None = None


class Hints(Struct):
    """Where a server shall run. All run on one host, so all hints are followed but those of groups, which there are
    not.
    """

    group: str | None = None


class CreateServerBody(Struct):
    server: ServerWanted
    hints: Hints | None = field(default=None, name="os:scheduler_hints")
    old_hints: Hints | None = field(default=None, name="OS-SCH-HNT:scheduler_hints")


def new_server(wanted: ServerWanted) -> NewServer:
    """Raises: InvalidInputError for what is wrong, NotOfferedError for what is right and not there yet."""
    if not wanted.name.strip():
        raise InvalidInputError("Invalid input for field/attribute name: it is blank", field="name")
    if wanted.personality:
        raise NotOfferedError("Files cannot be injected (personality); use user_data instead.")
    if wanted.block_device_mapping:
        raise NotOfferedError("Disks are named by block_device_mapping_v2 only.")
    if len(wanted.tags or ()) > MAX_TAGS:
        raise InvalidInputError(f"A server has at most {MAX_TAGS} tags.", field="tags")
    image_ref = last_part(wanted.image_ref) if wanted.image_ref else None
    disks = wanted_disks(wanted.block_device_mapping_v2 or [], image_ref)
    return NewServer(
        name=wanted.name,
        flavor_id=last_part(str(wanted.flavor_ref)),
        image_id=disks.image_id,
        description=wanted.description,
        nics=_nics(wanted.networks),
        security_groups=_group_names(wanted.security_groups),
        key_name=wanted.key_name or None,
        user_data=checked_user_data(wanted.user_data),
        metadata=wanted.metadata or {},
        tags=tuple(checked_tag(tag) for tag in wanted.tags or ()),
        availability_zone=wanted.availability_zone or None,
        config_drive=is_yes(wanted.config_drive, "config_drive", default=True),
        root_disk=disks.root,
        data_disks=disks.data,
    )


def require_no_group(*hints: Hints | None) -> None:
    """Raises: InvalidInputError."""
    for one in hints:
        if one is not None and one.group:
            raise InvalidInputError(f"Server group {one.group[:255]} could not be found.", field="group")


def admin_password(wanted: ServerWanted) -> str:
    """What the answer shows. It is kept nowhere and opens nothing: guests are entered by key or by their console."""
    return wanted.admin_pass or new_password()


def new_password() -> str:
    return secrets.token_urlsafe(12)


def wanted_counts(wanted: ServerWanted) -> tuple[int, int]:
    """How many servers at least and at most; each follows the other where it is left out. Raises: InvalidInputError."""
    least, most = int_of(wanted.min_count, "min_count"), int_of(wanted.max_count, "max_count")
    least = 1 if least is None else least
    most = least if most is None else most
    if not 1 <= least <= most:
        raise InvalidInputError("min_count must be <= max_count, and both at least 1", field="min_count")
    return least, most


def is_yes(value: bool | str | None, name: str, *, default: bool) -> bool:  # noqa: FBT001 - as it was sent
    """As Nova spells booleans. Raises: InvalidInputError."""
    if value is None or value == "":
        return default
    known = {"true": True, "1": True, "on": True, "yes": True, "y": True, "t": True}
    known |= {"false": False, "0": False, "off": False, "no": False, "n": False, "f": False}
    found = known.get(str(value).strip().lower())
    if found is None:
        raise InvalidInputError(f"Invalid input for field/attribute {name}: a boolean is expected", field=name)
    return found


def last_part(reference: str) -> str:
    """A reference is an id, or a link that ends with it."""
    return reference.rstrip("/").rsplit("/", 1)[-1]


def _nics(networks: list[NetworkWanted] | str | None) -> tuple[WantedNic, ...] | None:
    if networks is None or networks in ("auto", []):
        return None
    if networks == "none":
        return ()
    if isinstance(networks, str):
        raise InvalidInputError("Invalid input for field/attribute networks.", field="networks")
    return tuple(_nic(network) for network in networks)


def _nic(wanted: NetworkWanted) -> WantedNic:
    if wanted.port:
        if wanted.fixed_ip:
            raise InvalidInputError(
                "Specified Fixed IP cannot be used with a port: the port has one.", field="networks"
            )
        return WantedNic(port_id=wanted.port.lower())
    if not wanted.uuid:
        raise InvalidInputError("Bad networks format: missing 'uuid' or 'port'.", field="networks")
    return WantedNic(network_id=wanted.uuid.lower(), fixed_ip=wanted.fixed_ip or None)


def _group_names(groups: list[NameRef] | None) -> tuple[str, ...] | None:
    names = tuple(group.name for group in groups or () if group.name)
    return names or None


def checked_user_data(user_data: str | None) -> str | None:
    """Raises: InvalidInputError."""
    if not user_data:
        return None
    if len(user_data) > MAX_USER_DATA_LENGTH:
        raise InvalidInputError(f"User data too large. It can have {MAX_USER_DATA_LENGTH} bytes.", field="user_data")
    try:
        base64.b64decode(user_data, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInputError("Userdata content cannot be decoded", field="user_data") from None
    return user_data
