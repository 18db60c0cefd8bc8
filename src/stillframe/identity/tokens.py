"""Tokens: what they claim, packed, encrypted and signed into a text of about 200 characters.

A token carries its claims itself, so none is stored. Whether it still holds (user, project, roles, revocation) is asked
of the database on every request; here is only decided whether the text is ours and not yet over.
"""

from datetime import datetime
from typing import Self

import msgspec

from stillframe.blobs.layout import DataLayout
from stillframe.errors import UnauthenticatedError
from stillframe.identity.keyring import KeyRing
from stillframe.identity.model import Scope, TokenClaims

MAX_TOKEN_LENGTH = 4096


class _Packed(msgspec.Struct, array_like=True, frozen=True):
    """The claims as they are packed: ids as 16 bytes, names of fields left out."""

    token_id: bytes
    user_id: bytes
    epoch: int
    project_id: bytes | None
    domain_id: bytes | None
    methods: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime
    is_system: bool = False
    parent_id: bytes | None = None
    application_credential_id: bytes | None = None
    trust_id: bytes | None = None
    other_epoch: int = 0


_decoder = msgspec.msgpack.Decoder(_Packed)
_encoder = msgspec.msgpack.Encoder()


class TokenKeys:
    """The keys of this deployment: one ring signs tokens, another encrypts the secrets of access keys."""

    def __init__(self, tokens: KeyRing, access_keys: KeyRing) -> None:
        self.tokens = tokens
        self.access_keys = access_keys

    @classmethod
    def open(cls, layout: DataLayout) -> Self:
        """Makes the key files when they are missing; every process that opens the same directory has the same keys."""
        return cls(KeyRing(layout.keys_dir / "tokens.key"), KeyRing(layout.keys_dir / "access-keys.key"))


def encode_token(keys: TokenKeys, claims: TokenClaims) -> str:
    packed = _Packed(
        token_id=bytes.fromhex(claims.token_id),
        user_id=bytes.fromhex(claims.user_id),
        epoch=claims.epoch,
        project_id=_packed_id(claims.scope.project_id),
        domain_id=_packed_id(claims.scope.domain_id),
        methods=claims.methods,
        issued_at=claims.issued_at,
        expires_at=claims.expires_at,
        is_system=claims.scope.system,
        parent_id=_packed_id(claims.parent_id),
        application_credential_id=_packed_id(claims.application_credential_id),
        trust_id=_packed_id(claims.trust_id),
        other_epoch=claims.other_epoch,
    )
    return keys.tokens.encrypt(_encoder.encode(packed))


def decode_token(keys: TokenKeys, text: str, now: datetime) -> TokenClaims:
    """Raises: UnauthenticatedError when the text is not a token of ours or the token is over at `now`."""
    plain = keys.tokens.decrypt(text) if len(text) <= MAX_TOKEN_LENGTH else None
    if plain is None:
        raise UnauthenticatedError
    packed = _decoder.decode(plain)
    if now >= packed.expires_at:
        raise UnauthenticatedError
    return TokenClaims(
        token_id=packed.token_id.hex(),
        user_id=packed.user_id.hex(),
        epoch=packed.epoch,
        scope=Scope(
            project_id=_unpacked_id(packed.project_id),
            domain_id=_unpacked_id(packed.domain_id),
            system=packed.is_system,
        ),
        methods=packed.methods,
        issued_at=packed.issued_at,
        expires_at=packed.expires_at,
        parent_id=_unpacked_id(packed.parent_id),
        application_credential_id=_unpacked_id(packed.application_credential_id),
        trust_id=_unpacked_id(packed.trust_id),
        other_epoch=packed.other_epoch,
    )


def _packed_id(an_id: str | None) -> bytes | None:
    return None if an_id is None else bytes.fromhex(an_id)


def _unpacked_id(packed: bytes | None) -> str | None:
    return None if packed is None else packed.hex()
