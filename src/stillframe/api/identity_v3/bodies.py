"""Bodies that make or change a resource: known fields are checked, the rest is kept for the caller as it came.

Source: OpenStack Keystone, the JSON schemas of its API.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from stillframe.errors import InvalidInputError

Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\S")]
ShortName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\S")]
Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9-]+$")]
Tag = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^,/]*$")]
Tags = Annotated[list[Tag], Meta(max_length=80)]
Text = str | None
Json = dict[str, Any]

_TRUE = frozenset({"true", "1", "y", "on", "yes"})
_FALSE = frozenset({"false", "0", "n", "off", "no", ""})
_MAX_INT = 2**63 - 1
_MOMENTS = ("%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S")


class Given(NamedTuple):
    """What a body said: the fields we know, and whatever else was in it."""

    fields: dict[str, Any]
    extra: dict[str, Any]


def decode_resource(
    raw: bytes, key: str, kind: type[Struct], *required: str, extras: bool = True, may_be_empty: bool = False
) -> Given:
    """The object under `key`. Raises: InvalidInputError naming the field."""
    plain = decode_object(raw).get(key)
    if not isinstance(plain, dict):
        raise InvalidInputError(f"'{key}' is a required property, and an object.", field=key)
    missing = [name for name in required if name not in plain]
    if missing:
        raise InvalidInputError(f"'{missing[0]}' is a required property.", field=missing[0])
    if not plain and not required and not may_be_empty:
        raise InvalidInputError("{} does not have enough properties.", field=key)
    known = convert(plain, kind)
    names = known.__struct_fields__
    fields = {name: value for name in names if (value := getattr(known, name)) is not UNSET}
    if "enabled" in fields:
        fields["enabled"] = boolean(fields["enabled"], "enabled")
    extra = {name: value for name, value in plain.items() if name not in names and name not in ("id", "links")}
    if extra and not extras:
        raise InvalidInputError(f"Additional properties are not allowed: {sorted(extra)}.", field=min(extra))
    return Given(fields, extra)


def require_same_id(raw: bytes, key: str, an_id: str) -> None:
    """Raises: InvalidInputError when the body names another resource than the path."""
    named = decode_object(raw).get(key)
    if isinstance(named, dict) and named.get("id") not in (None, an_id):
        raise InvalidInputError("Cannot change ID.", field="id")


def convert(plain: Any, kind: Any) -> Any:
    """Raises: InvalidInputError."""
    try:
        return msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        raise InvalidInputError(f"Invalid input in the request body: {error}.") from None


def decode_object(raw: bytes) -> dict[str, Any]:
    """Raises: InvalidInputError for what is no JSON object, or holds what no database keeps."""
    try:
        plain = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidInputError("The request body is not valid JSON.") from None
    if not isinstance(plain, dict):
        raise InvalidInputError("The request body is not a JSON object.")
    _require_keepable(plain)
    return plain


def _require_keepable(plain: Any) -> None:
    """Without recursion: a body may be nested deeper than Python's stack."""
    to_see = [plain]
    while to_see:
        value = to_see.pop()
        if isinstance(value, str):
            if "\0" in value:
                raise InvalidInputError("The request body holds a NUL character.")
        elif isinstance(value, int):
            if abs(value) > _MAX_INT:
                raise InvalidInputError("The request body holds a number that is too large.")
        elif isinstance(value, Mapping):
            to_see += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            to_see += value


def boolean(value: Any, name: str) -> bool:
    """Keystone's reading of a boolean in a body. Raises: InvalidInputError."""
    if isinstance(value, bool):
        return value
    text = str(value).lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise InvalidInputError(f"Invalid input for field '{name}'. The value is {value!r}.", field=name)


class UserBody(Struct):
    name: Name | UnsetType = UNSET
    domain_id: Id | UnsetType | None = UNSET
    default_project_id: Annotated[str, Meta(max_length=64)] | UnsetType | None = UNSET
    enabled: bool | str | UnsetType | None = UNSET
    password: Annotated[str, Meta(max_length=4096)] | UnsetType | None = UNSET
    options: Json | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    federated: list[Json] | UnsetType = UNSET


class PasswordChangeBody(Struct):
    original_password: Annotated[str, Meta(max_length=4096)]
    password: Annotated[str, Meta(max_length=4096)]


class GroupBody(Struct):
    name: Name | UnsetType = UNSET
    domain_id: Id | UnsetType | None = UNSET
    description: Text | UnsetType = UNSET


class ProjectBody(Struct):
    name: ShortName | UnsetType = UNSET
    domain_id: Id | UnsetType | None = UNSET
    parent_id: Id | UnsetType | None = UNSET
    is_domain: bool | str | UnsetType | None = UNSET
    enabled: bool | str | UnsetType | None = UNSET
    description: Text | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    options: Json | UnsetType = UNSET


class TagsBody(Struct):
    tags: Tags


class DomainBody(Struct):
    name: ShortName | UnsetType = UNSET
    explicit_domain_id: Id | UnsetType = UNSET
    enabled: bool | str | UnsetType | None = UNSET
    description: Text | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    options: Json | UnsetType = UNSET


class RoleBody(Struct):
    name: Name | UnsetType = UNSET
    domain_id: Id | UnsetType | None = UNSET
    description: Text | UnsetType = UNSET
    options: Json | UnsetType = UNSET


class ServiceBody(Struct):
    type: Annotated[str, Meta(min_length=1, max_length=255)] | UnsetType = UNSET
    name: Annotated[str, Meta(max_length=255)] | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    description: Text | UnsetType = UNSET


class EndpointBody(Struct):
    service_id: Id | UnsetType = UNSET
    interface: Literal["admin", "internal", "public"] | UnsetType = UNSET
    url: Annotated[str, Meta(max_length=225, pattern=r"^[a-zA-Z0-9+.-]+:.+")] | UnsetType = UNSET
    region: Annotated[str, Meta(max_length=255)] | UnsetType | None = UNSET
    region_id: Annotated[str, Meta(max_length=255)] | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET


class RegionBody(Struct):
    id: Annotated[str, Meta(max_length=255)] | UnsetType | None = UNSET
    description: Text | UnsetType = UNSET
    parent_region_id: Annotated[str, Meta(max_length=255)] | UnsetType | None = UNSET


Amount = Annotated[int, Meta(ge=-1, le=2**31 - 1)]


class RegisteredLimitBody(Struct):
    service_id: Id | UnsetType = UNSET
    region_id: Annotated[str, Meta(max_length=255)] | UnsetType | None = UNSET
    resource_name: Name | UnsetType = UNSET
    default_limit: Amount | UnsetType = UNSET
    description: Text | UnsetType = UNSET


class LimitBody(Struct):
    service_id: Id | UnsetType = UNSET
    project_id: Id | UnsetType | None = UNSET
    domain_id: Id | UnsetType | None = UNSET
    region_id: Annotated[str, Meta(max_length=255)] | UnsetType | None = UNSET
    resource_name: Name | UnsetType = UNSET
    resource_limit: Amount | UnsetType = UNSET
    description: Text | UnsetType = UNSET


class LimitChangeBody(Struct):
    resource_limit: Amount | UnsetType = UNSET
    description: Text | UnsetType = UNSET


class PolicyBody(Struct):
    type: Annotated[str, Meta(max_length=255)] | UnsetType = UNSET
    blob: str | UnsetType = UNSET


class CredentialBody(Struct):
    type: Annotated[str, Meta(min_length=1, max_length=255)] | UnsetType = UNSET
    blob: str | UnsetType = UNSET
    user_id: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET
    project_id: Annotated[str, Meta(max_length=64)] | UnsetType | None = UNSET


class RoleRefBody(Struct, forbid_unknown_fields=True):
    id: Id | None = None
    name: Name | None = None


class AccessRuleBody(Struct):
    id: Id | None = None
    service: Id | None = None
    method: Literal["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"] | None = None
    path: Annotated[str, Meta(max_length=225, pattern=r"^/")] | None = None


class AppCredentialBody(Struct):
    name: Name | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    expires_at: str | UnsetType | None = UNSET
    secret: Annotated[str, Meta(min_length=1, max_length=4096)] | UnsetType | None = UNSET
    roles: list[RoleRefBody] | UnsetType = UNSET
    unrestricted: bool | UnsetType | None = UNSET
    access_rules: list[AccessRuleBody] | UnsetType = UNSET
    project_id: Id | UnsetType = UNSET
    system: Text | UnsetType = UNSET


class TrustBody(Struct):
    trustor_user_id: Id | UnsetType = UNSET
    trustee_user_id: Id | UnsetType = UNSET
    impersonation: bool | UnsetType = UNSET
    project_id: Id | UnsetType | None = UNSET
    remaining_uses: Annotated[int, Meta(ge=1)] | UnsetType | None = UNSET
    expires_at: str | UnsetType | None = UNSET
    allow_redelegation: bool | UnsetType | None = UNSET
    redelegation_count: Annotated[int, Meta(ge=0)] | UnsetType | None = UNSET
    roles: list[RoleRefBody] | UnsetType = UNSET


def moment(text: str | None) -> datetime | None:
    """When something ends, in any of the spellings clients have. Raises: InvalidInputError."""
    if text is None:
        return None
    for form in _MOMENTS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise InvalidInputError("expires_at is a time such as 2030-01-31T12:00:00.000000.", field="expires_at")


def decode_list(raw: bytes, key: str, kind: type[Struct], *required: str) -> list[Given]:
    """The objects in the list under `key`, at least one. Raises: InvalidInputError naming the field."""
    plain = decode_object(raw).get(key)
    if not isinstance(plain, list) or not plain:
        raise InvalidInputError(f"'{key}' is a required property, and a list that is not empty.", field=key)
    return [decode_resource(msgspec.json.encode({key: each}), key, kind, *required, extras=False) for each in plain]
