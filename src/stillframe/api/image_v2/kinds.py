"""How values are spelled on the wire: in JSON, in a query string, and in a JSON schema.

A kind turns a value of the model into JSON and back. Clients are strict about types: one number where a string is due
makes a whole list unreadable for some of them.
"""

import enum
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import msgspec

from stillframe.errors import InvalidInputError
from stillframe.kit.clock import iso_seconds_z

MAX_INT = 2**31 - 1
_MAX_FILTER_INT = 2**63 - 1
_DIGITS = re.compile(r"-?\d{1,19}", re.ASCII)
_TRUE = frozenset({"true", "1", "t", "on", "y", "yes"})
_FALSE = frozenset({"false", "0", "f", "off", "n", "no"})


class Kind(msgspec.Struct, frozen=True):
    """`write` gives JSON; `read` takes decoded JSON and `parse` the text of a filter, each with the attribute's name.

    Both raise InvalidInputError.
    """

    write: Callable[[Any], Any]
    read: Callable[[str, Any], Any]
    parse: Callable[[str, str], Any]
    schema: dict[str, Any]


def plain(value: Any) -> Any:
    return value


def checked_text(name: str, value: Any, max_length: int = 255) -> str:
    """A text that both databases can keep."""
    if not isinstance(value, str):
        raise InvalidInputError(f"{name!r} must be a string.", field=name)
    if len(value) > max_length:
        raise InvalidInputError(f"{name!r} is longer than {max_length} characters.", field=name)
    if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise InvalidInputError(f"{name!r} holds a character that is not allowed.", field=name)
    return value


def checked_int(name: str, value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MAX_INT:
        raise InvalidInputError(f"{name!r} must be an integer between 0 and {MAX_INT}.", field=name)
    return value


def parsed_int(name: str, text: str) -> int:
    if not _DIGITS.fullmatch(text) or abs(int(text)) > _MAX_FILTER_INT:
        raise InvalidInputError(f"{name!r} must be an integer.", field=name)
    return int(text)


def parsed_bool(name: str, text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise InvalidInputError(f"{name!r} must be true or false.", field=name)


def _read_int_text(name: str, value: Any) -> int:
    if isinstance(value, str):
        value = parsed_int(name, value)
    return checked_int(name, value)


def _read_bool(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidInputError(f"{name!r} must be true or false.", field=name)
    return value


def _read_bool_text(name: str, value: Any) -> bool:
    return parsed_bool(name, checked_text(name, value))


def _write_bool_text(value: bool) -> str:  # noqa: FBT001 - one of several writers, called alike
    return "true" if value else "false"


def _read_only(name: str, _value: Any) -> Any:
    raise InvalidInputError(f"{name!r} cannot be set.", field=name)


def _write_time(value: datetime | None) -> str | None:
    return None if value is None else iso_seconds_z(value)


def _nullable(read: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    return lambda name, value: None if value is None else read(name, value)


def one_of(values: Iterable[str], *, nullable: bool = False) -> Kind:
    known = tuple(values)

    def read(name: str, value: Any) -> str:
        if value not in known:
            raise InvalidInputError(f"{name!r} must be one of {', '.join(known)}.", field=name)
        return str(value)

    enumerated: list[str | None] = [None, *known] if nullable else [*known]
    schema = {"type": ["null", "string"] if nullable else "string", "enum": enumerated}
    return Kind(plain, _nullable(read) if nullable else read, checked_text, schema)


def member_of(members: type[enum.StrEnum]) -> Kind:
    """A value of an enum; filtering by another text is no mistake, it only finds nothing."""
    texts = one_of(member.value for member in members)
    return Kind(plain, lambda name, value: members(texts.read(name, value)), checked_text, texts.schema)


def text(max_length: int = 255) -> Kind:
    return Kind(
        plain,
        lambda name, value: checked_text(name, value, max_length),
        checked_text,
        {"type": "string", "maxLength": max_length},
    )


TEXT = text()
TEXT_OR_NULL = Kind(plain, _nullable(checked_text), checked_text, {"type": ["null", "string"], "maxLength": 255})
INT = Kind(plain, checked_int, parsed_int, {"type": "integer", "minimum": 0, "maximum": MAX_INT})
INT_OR_NULL = Kind(plain, _read_only, parsed_int, {"type": ["null", "integer"]})
INT_TEXT = Kind(str, _read_int_text, parsed_int, {"type": "string", "pattern": "^[0-9]+$"})
BOOL = Kind(plain, _read_bool, parsed_bool, {"type": "boolean"})
BOOL_TEXT = Kind(_write_bool_text, _read_bool_text, parsed_bool, {"type": "string", "enum": ["true", "false"]})
TIME = Kind(_write_time, _read_only, checked_text, {"type": "string"})
