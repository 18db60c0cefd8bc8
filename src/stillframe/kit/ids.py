"""Identifiers: images, servers, volumes and layers carry dashed UUIDs; projects, users and jobs 32 hex digits."""

import re
import secrets
import uuid

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HEX = re.compile(r"[0-9a-f]{32}")
_STILLFRAME = uuid.UUID("6b1f2d0e-6d0f-5b53-9a53-0d9a5be1b0f1")


def new_uuid() -> str:
    return str(uuid.uuid4())


def new_hex_id() -> str:
    return uuid.uuid4().hex


def derived_uuid(*parts: str) -> str:
    """The same parts always give the same UUID: a repeated step finds what its first run made."""
    return str(uuid.uuid5(_STILLFRAME, "/".join(parts)))


def is_uuid(text: str) -> bool:
    """Dashed lower-case UUID, nothing else: such a text is safe as a file name."""
    return _UUID.fullmatch(text) is not None


def is_hex_id(text: str) -> bool:
    return _HEX.fullmatch(text) is not None


def normalized_uuid(text: str) -> str | None:
    """The dashed lower-case form of a UUID given dashed or as 32 hex digits, in any case; None for anything else."""
    plain = text.strip().lower()
    if _HEX.fullmatch(plain):
        return str(uuid.UUID(plain))
    return plain if _UUID.fullmatch(plain) else None


def new_secret(length_bytes: int = 32) -> str:
    return secrets.token_urlsafe(length_bytes)
