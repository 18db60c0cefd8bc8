"""Key pairs: public ssh keys that servers can be given at birth. A private key made here is shown once and not kept."""

import base64
import hashlib
import re
from typing import NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, KeypairNotFoundError, LimitExceededError
from stillframe.identity.model import Caller
from stillframe.kit.clock import utcnow
from stillframe.servers import rows
from stillframe.servers.model import Keypair

MAX_KEYPAIRS = 100
MAX_KEY_LENGTH = 16 * 1024
_NAME = re.compile(r"[A-Za-z0-9 ._@-]{1,255}")
_KINDS = ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")


class GeneratedKey(NamedTuple):
    keypair: Keypair
    private_key: str
    """In OpenSSH's own format."""


async def list_keypairs(tx: Transaction, caller: Caller) -> list[Keypair]:
    return await rows.list_keypairs(tx, caller.user_id)


async def get_keypair(tx: Transaction, caller: Caller, name: str) -> Keypair:
    """Raises: KeypairNotFoundError."""
    keypair = await rows.get_keypair(tx, caller.user_id, name) if _NAME.fullmatch(name) else None
    if keypair is None:
        raise KeypairNotFoundError(f"Keypair {name[:255]} not found for user {caller.user_id}")
    return keypair


async def import_keypair(tx: Transaction, caller: Caller, name: str, public_key: str) -> Keypair:
    """Raises: InvalidInputError, KeypairExistsError."""
    return await _store(tx, caller, name, checked_public_key(public_key))


async def generate_keypair(tx: Transaction, caller: Caller, name: str) -> GeneratedKey:
    """An Ed25519 pair: made in microseconds, where an RSA key would hold up every other request.

    Raises: InvalidInputError, KeypairExistsError.
    """
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    keypair = await _store(tx, caller, name, f"{public.decode()} Generated-by-Stillframe")
    return GeneratedKey(keypair, private.decode())


async def delete_keypair(tx: Transaction, caller: Caller, name: str) -> None:
    """Servers made with it keep the key they were given. Raises: KeypairNotFoundError."""
    await get_keypair(tx, caller, name)
    await rows.delete_keypair(tx, caller.user_id, name)


async def _store(tx: Transaction, caller: Caller, name: str, public_key: str) -> Keypair:
    if not _NAME.fullmatch(name) or name != name.strip():
        raise InvalidInputError(
            "Keypair data is invalid: a name has 1 to 255 letters, digits, spaces and any of . _ - @", field="name"
        )
    if len(await rows.list_keypairs(tx, caller.user_id)) >= MAX_KEYPAIRS:
        raise LimitExceededError("Quota exceeded, too many key pairs.")
    keypair = Keypair(
        user_id=caller.user_id,
        name=name,
        public_key=public_key,
        fingerprint=fingerprint_of(public_key),
        created_at=utcnow(),
    )
    await rows.insert_keypair(tx, keypair)
    return keypair


def checked_public_key(text: str) -> str:
    """One line as in authorized_keys, without options. Raises: InvalidInputError for anything else."""
    stripped = text.strip()
    one_line = len(text) <= MAX_KEY_LENGTH and stripped.isprintable() and stripped.startswith(_KINDS)
    if not one_line:
        raise InvalidInputError("Keypair data is invalid: not an ssh public key", field="public_key")
    try:
        serialization.load_ssh_public_key(stripped.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInputError("Keypair data is invalid: failed to read the key", field="public_key") from error
    return stripped


def fingerprint_of(public_key: str) -> str:
    """MD5 in pairs of digits, which is how Nova shows it."""
    blob = base64.b64decode(public_key.split()[1])
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[place : place + 2] for place in range(0, len(digest), 2))
