"""POST /cloudservers on the wire: what its body may hold, and what it means.

Source: Open Telekom Cloud, ECS API reference, "Creating ECSs", "Data Structure for Creating ECSs".
"""

import re
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from stillframe.api.compute_v2.bodies import BodyType, decode_body, int_of
from stillframe.api.compute_v2.server_requests import Hints, Text, checked_user_data, require_no_group
from stillframe.errors import InvalidInputError, NotOfferedError, RequestBodyEmptyError
from stillframe.kit.ids import normalized_uuid
from stillframe.networks.ports import WantedNic
from stillframe.servers.model import DataDisk, DiskSource, NewServer, RootDisk
from stillframe.servers.nics import MAX_NICS
from stillframe.servers.orders import ServerOrder, WantedAddress
from stillframe.servers.tag_rows import tag_of
from stillframe.servers.tagging import Pair, checked_pairs

MAX_NAME_LENGTH = 128
MAX_METADATA = 10
_NAME = re.compile(r"[\w.-]{1,128}")
_PASSWORD_KINDS = (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^A-Za-z0-9]")
_PASSWORD_LENGTHS = range(8, 27)
_HIDDEN_METADATA = "admin_pass"
"""The password of Windows' administrator, which other fields of a server must not show."""

Truth = bool | str | None


class NicWanted(Struct):
    subnet_id: Text | None = None
    port_id: Text | None = None
    ip_address: Text | None = None
    ipv6_enable: Truth = None


class VolumeParameters(Struct, rename="camel"):
    snapshot_id: Text | None = None


class VolumeWanted(Struct):
    volume_type: str = field(name="volumetype")
    size: int | str | None = None
    shareable: Truth = None
    multiattach: Truth = None
    data_image_id: Text | None = None
    metadata: dict[str, Any] | None = None
    parameters: VolumeParameters | None = field(name="extendparam", default=None)


class Bandwidth(Struct):
    size: Annotated[int, Meta(ge=1, le=2000)] | None = None
    share_type: str | None = field(name="sharetype", default=None)
    id: str | None = None


class NewAddress(Struct):
    bandwidth: Bandwidth


class AddressWanted(Struct):
    id: Text | None = None
    eip: NewAddress | None = None


class GroupRef(Struct):
    id: Text | None = None


class Tag(Struct):
    key: str
    value: str | None = None


class ServerParameters(Struct, rename="camel"):
    charging_mode: str | int | None = None


class ServerWanted(Struct):
    image_ref: str = field(name="imageRef")
    flavor_ref: str = field(name="flavorRef")
    name: str
    vpc_id: Text = field(name="vpcid")
    nics: Annotated[list[NicWanted], Meta(min_length=1)]
    root_volume: VolumeWanted
    data_volumes: list[VolumeWanted] | None = None
    address: AddressWanted | None = field(name="publicip", default=None)
    count: int | str | None = None
    user_data: str | None = None
    admin_pass: Text | None = field(name="adminPass", default=None)
    key_name: Text | None = None
    personality: list[object] | None = None
    security_groups: list[GroupRef] | None = None
    availability_zone: Text | None = None
    parameters: ServerParameters | None = field(name="extendparam", default=None)
    metadata: dict[str, Any] | None = None
    tags: list[str] | None = None
    server_tags: list[Tag] | None = None
    description: Annotated[str, Meta(max_length=85)] | None = None
    hints: Hints | None = field(name="os:scheduler_hints", default=None)


class OrderBody(Struct):
    server: ServerWanted
    dry_run: bool | None = None


def decode(body: bytes, kind: type[BodyType]) -> BodyType:
    """Raises: RequestBodyEmptyError, InvalidInputError."""
    if not body.strip():
        raise RequestBodyEmptyError("The request body cannot be left blank.")
    return decode_body(body, kind)


def checked_name(name: str) -> str:
    """Raises: InvalidInputError."""
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            f"The ECS name must have 1 to {MAX_NAME_LENGTH} letters, digits, underscores, hyphens and periods.",
            field="name",
        )
    return name


def order_of(wanted: ServerWanted) -> ServerOrder:
    """Raises: InvalidInputError for what is wrong, NotOfferedError for what is right and not there."""
    _require_offered(wanted)
    require_no_group(wanted.hints)
    check_password(wanted.admin_pass)
    if len(wanted.nics) > MAX_NICS:
        raise InvalidInputError(f"An ECS has at most {MAX_NICS} network cards.", field="nic count")
    new = NewServer(
        name=checked_name(wanted.name),
        flavor_id=wanted.flavor_ref,
        image_id=image_id_of(wanted.image_ref),
        description=wanted.description,
        nics=tuple(_nic(nic) for nic in wanted.nics),
        security_groups=tuple(group.id for group in wanted.security_groups or () if group.id) or None,
        key_name=wanted.key_name or None,
        user_data=checked_user_data(wanted.user_data),
        metadata=_metadata(wanted.metadata or {}),
        tags=tuple(tag_of(*pair) for pair in _pairs(wanted)),
        availability_zone=wanted.availability_zone or None,
        root_disk=RootDisk(
            size_gib=int_of(wanted.root_volume.size or None, "size"),
            volume_type=wanted.root_volume.volume_type,
        ),
        data_disks=tuple(_data_disk(disk) for disk in wanted.data_volumes or ()),
    )
    count = int_of(wanted.count, "count")
    return ServerOrder(
        new=new,
        vpc_id=wanted.vpc_id.lower(),
        count=1 if count is None else count,
        address=_address(wanted.address),
    )


def _nic(wanted: NicWanted) -> WantedNic:
    if wanted.port_id:
        return WantedNic(port_id=wanted.port_id.lower())
    if not wanted.subnet_id:
        raise InvalidInputError("Each of nics must have a subnet_id.", field="subnet_id")
    return WantedNic(network_id=wanted.subnet_id.lower(), fixed_ip=wanted.ip_address or None)


def _require_offered(wanted: ServerWanted) -> None:
    if wanted.personality:
        raise NotOfferedError("Files cannot be injected (personality); use user_data instead.")
    if wanted.parameters and str(wanted.parameters.charging_mode or "postPaid") not in {"postPaid", "0"}:
        raise NotOfferedError("ECSs are not prepaid here (chargingMode).")
    if any(_is_true(nic.ipv6_enable) for nic in wanted.nics):
        raise NotOfferedError("Networks carry IPv4 only.")
    for volume in (wanted.root_volume, *(wanted.data_volumes or ())):
        if _is_true(volume.shareable) or _is_true(volume.multiattach):
            raise NotOfferedError("A volume can be attached to one server at a time.")
        if str((volume.metadata or {}).get("__system__encrypted", "0")) == "1":
            raise NotOfferedError("Volumes cannot be encrypted in this deployment.")


def _is_true(given: Truth) -> bool:
    return str(given).lower() == "true"


def check_password(password: str | None) -> None:
    """It is checked as the cloud does, and kept nowhere: guests are entered by key or by their console.

    Raises: InvalidInputError.
    """
    if not password:
        return
    kinds = sum(re.search(kind, password) is not None for kind in _PASSWORD_KINDS)
    if len(password) not in _PASSWORD_LENGTHS or kinds < 3:
        raise InvalidInputError(
            "adminPass must have 8 to 26 characters of at least three kinds: capitals, small letters, digits, others.",
            field="adminPass",
        )


def image_id_of(reference: str) -> str:
    """Raises: InvalidInputError."""
    image_id = normalized_uuid(reference)
    if image_id is None:
        raise InvalidInputError("The image does not exist.", field="imageRef")
    return image_id


def _metadata(given: dict[str, Any]) -> dict[str, str]:
    texts = {key: value for key, value in given.items() if key != _HIDDEN_METADATA}
    if len(texts) > MAX_METADATA:
        raise InvalidInputError(f"An ECS has at most {MAX_METADATA} metadata items.", field="metadata")
    for key, value in texts.items():
        if not isinstance(value, str) or not 1 <= len(key) <= 255 or len(value) > 255:
            raise InvalidInputError("metadata maps texts of 1 to 255 characters to texts of up to 255.", field=key[:64])
    return texts


def _pairs(wanted: ServerWanted) -> list[Pair]:
    """`tags` are the old form of them: `key.value`."""
    old = [(key, value) for key, _, value in (text.partition(".") for text in wanted.tags or ())]
    return checked_pairs([*old, *pairs_of(wanted.server_tags or [])])


def pairs_of(tags: list[Tag]) -> list[Pair]:
    return [(tag.key, tag.value or "") for tag in tags]


def _data_disk(wanted: VolumeWanted) -> DataDisk:
    snapshot_id = wanted.parameters.snapshot_id if wanted.parameters else None
    source, source_id = DiskSource.BLANK, None
    if wanted.data_image_id:
        source, source_id = DiskSource.IMAGE, normalized_uuid(wanted.data_image_id)
    elif snapshot_id:
        source, source_id = DiskSource.SNAPSHOT, normalized_uuid(snapshot_id)
    if source is not DiskSource.BLANK and source_id is None:
        raise InvalidInputError("The source of a data disk must be a UUID.", field="data_volumes")
    return DataDisk(
        source=source,
        source_id=source_id,
        size_gib=int_of(wanted.size or None, "size"),
        volume_type=wanted.volume_type,
    )


def _address(wanted: AddressWanted | None) -> WantedAddress | None:
    if wanted is None or (wanted.id is None and wanted.eip is None):
        return None
    if wanted.id:
        return WantedAddress(floating_ip_id=wanted.id)
    bandwidth = wanted.eip.bandwidth if wanted.eip else Bandwidth()
    if bandwidth.id or bandwidth.share_type == "WHOLE":
        raise NotOfferedError("Addresses have a bandwidth of their own (sharetype PER).")
    if not bandwidth.size:
        raise InvalidInputError("The size of the bandwidth is not specified.", field="publicip")
    return WantedAddress(bandwidth_mbit=bandwidth.size)
