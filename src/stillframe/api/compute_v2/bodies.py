"""Request bodies: JSON of the form a struct describes, and nothing a database could choke on."""

from typing import Any, TypeVar

import msgspec

from stillframe.errors import InvalidInputError

BodyType = TypeVar("BodyType")

MAX_INT = 2**31 - 1


def decode_body(body: bytes, kind: type[BodyType]) -> BodyType:
    """Unknown fields are ignored. Raises: InvalidInputError naming the place that is wrong."""
    return convert(decode_object(body), kind)


def convert(plain: Any, kind: type[BodyType]) -> BodyType:
    """Raises: InvalidInputError."""
    try:
        return msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        raise InvalidInputError(f"Invalid input in the request body: {error}") from None


def decode_object(body: bytes) -> dict[str, Any]:
    """Raises: InvalidInputError for what is no JSON object, or holds a NUL, which PostgreSQL cannot keep."""
    try:
        plain = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInputError("Malformed request body", cause=error) from None
    if not isinstance(plain, dict):
        raise InvalidInputError("Malformed request body: a JSON object is expected")
    _require_clean_texts(plain)
    return plain


def _require_clean_texts(plain: Any) -> None:
    """Without recursion: a body may be nested deeper than Python's stack."""
    to_see = [plain]
    while to_see:
        value = to_see.pop()
        if isinstance(value, str):
            if "\x00" in value:
                raise InvalidInputError("The request body holds a NUL character.")
        elif isinstance(value, dict):
            to_see += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            to_see += value


def int_of(value: int | str | None, name: str) -> int | None:
    """A number, also spelled as text. Raises: InvalidInputError."""
    if isinstance(value, str):
        text = value.strip()
        if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) < 20):
            raise InvalidInputError(f"Invalid input for field/attribute {name}: an integer is expected", field=name)
        value = int(text)
    if value is not None and not -1 <= value <= MAX_INT:
        raise InvalidInputError(f"Invalid input for field/attribute {name}: out of range", field=name)
    return value


def decode_quotas(body: bytes) -> dict[str, Any]:
    """What a request to set quotas names. Raises: InvalidInputError."""
    plain = decode_object(body).get("quota_set")
    if not isinstance(plain, dict):
        raise InvalidInputError("Invalid input for field/attribute quota_set: an object is expected", field="quota_set")
    return {name: value for name, value in plain.items() if name not in {"tenant_id", "project_id"}}


def limit_of(name: str, value: Any) -> int:
    """A number of a quota, also spelled as text. Raises: InvalidInputError."""
    number = int_of(value, name[:64]) if isinstance(value, int | str) and not isinstance(value, bool) else None
    if number is None:
        raise InvalidInputError(f"The quota of {name[:64]} must be a number.", field=name[:64])
    return number
