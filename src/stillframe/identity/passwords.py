"""Passwords as argon2id hashes, made and checked on a few threads so that the event loop never waits for one.

The cost is the library's default, the second recommendation of RFC 9106: 64 MiB, three passes, four lanes.
"""

import asyncio
import base64
import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import argon2

from stillframe.config import Settings
from stillframe.errors import InvalidInputError
from stillframe.kit.clock import utcnow

MAX_PASSWORD_LENGTH = 4096

_HASHER = argon2.PasswordHasher()

# Each check takes 64 MiB while it runs: as many at once as there are processors, the rest wait their turn.
_POOL = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="argon2")


def _unmatchable_hash() -> str:
    """A hash of the usual cost that no password has: checking it takes as long as checking a real one."""
    salt, digest = (
        base64.b64encode(os.urandom(length)).decode().rstrip("=") for length in (_HASHER.salt_len, _HASHER.hash_len)
    )
    cost = f"m={_HASHER.memory_cost},t={_HASHER.time_cost},p={_HASHER.parallelism}"
    return f"$argon2id$v=19${cost}${salt}${digest}"


_UNMATCHABLE = _unmatchable_hash()


async def hash_password(password: str) -> str:
    return await asyncio.get_running_loop().run_in_executor(_POOL, _HASHER.hash, password)


async def password_matches(password_hash: str | None, password: str) -> bool:
    """False, and as slow as for anybody else, when there is no such user (None) or the user has no password ("")."""
    return await asyncio.get_running_loop().run_in_executor(_POOL, _matches, password_hash or _UNMATCHABLE, password)


def _matches(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


def check_password_rules(settings: Settings, password: str) -> None:
    """Raises: InvalidInputError telling the rule, never the password."""
    rule = settings.password_pattern
    if not password or len(password) > MAX_PASSWORD_LENGTH or (rule and not re.search(rule, password)):
        hint = settings.password_pattern_hint or rule or "it must not be empty"
        raise InvalidInputError(f"The password does not match the requirements: {hint}.", field="password")


def password_expiry(settings: Settings, options: Mapping[str, Any]) -> datetime | None:
    """When a password chosen now is over; None for never."""
    if not settings.password_lifetime_days or options.get("ignore_password_expiry"):
        return None
    return utcnow() + timedelta(days=settings.password_lifetime_days)
