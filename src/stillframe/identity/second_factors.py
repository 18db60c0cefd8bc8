"""The second factor of a login: a passcode of six digits that the user's device works out from the time and a secret.

The secrets are the user's credentials of the type `totp`, in base 32. Whether a password alone is enough is decided by
the user's options `multi_factor_auth_enabled` and `multi_factor_auth_rules`: the methods of one of the rules have to be
there.

Source: RFC 6238; OpenStack Keystone, "Multi-Factor Authentication" and "Time-based One-time Password (TOTP)".
"""

import base64
import hashlib
import hmac
from collections.abc import Collection
from datetime import datetime

from stillframe.db import Database
from stillframe.identity.credentials import list_secrets
from stillframe.identity.model import Passcode, User
from stillframe.identity.rows import accounts as account_rows
from stillframe.identity.tokens import TokenKeys
from stillframe.kit.clock import utcnow

TOTP = "totp"
METHODS = frozenset({"password", TOTP, "token", "application_credential"})

_STEP_S = 30
_DIGITS = 6
_STEPS_BACK = (0, 1)
"""What was shown half a minute ago is accepted: it takes time to type."""


def suffice(user: User, methods: Collection[str]) -> bool:
    """Whether the user's rules are content with these methods. Rules that nobody could meet do not count."""
    rules = user.options.get("multi_factor_auth_rules") or []
    if not user.options.get("multi_factor_auth_enabled"):
        return True
    known = [set(rule) for rule in rules if isinstance(rule, list) and rule and METHODS.issuperset(map(str, rule))]
    return not known or any(rule <= set(methods) for rule in known)


async def passcode_matches(database: Database, keys: TokenKeys, user: User, given: Passcode) -> bool:
    """Whether it is for this user, and one that any of the user's devices shows now."""
    async with database.reading() as tx:
        named = await account_rows.find_user(tx, user_id=given.user_id, name=given.user_name, domain=given.domain)
        secrets = await list_secrets(tx, keys, user.id, TOTP)
    if named is None or named.user.id != user.id:
        return False
    shown = {passcode(secret, utcnow(), back) for secret in secrets for back in _STEPS_BACK}
    return any(hmac.compare_digest(each.encode(), given.digits.encode(errors="replace")) for each in shown if each)


def passcode(secret: str, when: datetime, steps_back: int = 0) -> str:
    """Empty when the secret is none in base 32."""
    text = secret.strip().upper().rstrip("=")
    try:
        key = base64.b32decode(text + "=" * (-len(text) % 8))
    except ValueError:
        return ""
    step = int(when.timestamp()) // _STEP_S - steps_back
    digest = hmac.digest(key, step.to_bytes(8, "big"), hashlib.sha1)
    at = digest[-1] & 0x0F
    number = int.from_bytes(digest[at : at + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**_DIGITS:0{_DIGITS}d}" if key else ""
