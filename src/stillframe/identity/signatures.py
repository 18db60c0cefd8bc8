"""Request signatures: SDK-HMAC-SHA256 in its two dialects, as pure functions of a request and a secret.

    Authorization: SDK-HMAC-SHA256 Access=AK, SignedHeaders=host;x-sdk-date, Signature=hex
    Authorization: SDK-HMAC-SHA256 Credential=AK/20260101/REGION/SERVICE/sdk_request, SignedHeaders=..., Signature=hex

The first is signed with the secret itself, the second with a key derived from it by date, region and service. Clients
build the text to sign from the request as they mean to send it and the wire does not tell everything (whether an empty
body was none, in which order equal query keys were meant), so a few readings of the same request are tried; each of
them covers the method, the path, the query, the signed headers and the body. The second dialect covers the first value
of each key of the query only; that is also the one which is read where one value is asked for.

Source: huaweicloudsdkcore `signer/signer.py`; opentelekomcloud/gophertelekomcloud `signer_helper.go`.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, quote_plus, unquote_to_bytes

import msgspec

from stillframe.errors import UnauthenticatedError

ALGORITHM = "SDK-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
MAX_CLOCK_SKEW = timedelta(minutes=15)

_DATE = "%Y%m%dT%H%M%SZ"
_WHITESPACE = re.compile(rb"\s+")

_READ_HERE = frozenset(
    {
        b"authorization",
        b"host",
        b"x-sdk-date",
        b"x-sdk-content-sha256",
        b"x-security-token",
        b"x-project-id",
        b"x-domain-id",
    }
)
"""Headers that decide about a signed request, signed or not."""

QueryPairs = list[tuple[bytes, bytes]]


class SignedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it came in: path and query still percent-encoded, header names in lower case."""

    method: str
    raw_path: bytes
    raw_query: bytes
    headers: Mapping[bytes, bytes]
    """The first value of each header."""
    repeated: frozenset[bytes] = frozenset()
    """The names of headers that came more than once."""

    def header(self, name: str) -> str:
        return self.headers.get(name.encode("latin-1"), b"").decode("latin-1").strip()


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    access: str
    credential_scope: tuple[str, str, str] | None
    """Date, region and service of the second dialect; None in the first."""
    signed_headers: tuple[str, ...]
    digest: str
    sent_at: datetime
    sent_date: str
    """X-Sdk-Date as it was written."""


def parse_signature(request: SignedRequest) -> Signature:
    """What the Authorization header claims; nothing is checked yet but its form.

    Raises: UnauthenticatedError.
    """
    scheme, _, rest = request.header("authorization").partition(" ")
    named = [part.strip().partition("=") for part in rest.split(",")]
    parts = {name.lower(): value for name, _, value in named}
    signed_headers = tuple(parts.get("signedheaders", "").lower().split(";"))
    if scheme != ALGORITHM or len(parts) != len(named) or not parts.get("signature"):
        raise UnauthenticatedError
    if not {"host", "x-sdk-date"} <= set(signed_headers) or _is_ambiguous(request, signed_headers):
        raise UnauthenticatedError
    access, credential_scope = _who(parts)
    sent_date = request.header("x-sdk-date")
    return Signature(
        access=access,
        credential_scope=credential_scope,
        signed_headers=signed_headers,
        digest=parts["signature"],
        sent_at=_parsed_date(sent_date),
        sent_date=sent_date,
    )


def _is_ambiguous(request: SignedRequest, signed_headers: tuple[str, ...]) -> bool:
    """Whether another value than the one that was signed might be read later on."""
    return not request.repeated.isdisjoint({*_READ_HERE, *(name.encode("latin-1") for name in signed_headers)})


def _who(parts: Mapping[str, str]) -> tuple[str, tuple[str, str, str] | None]:
    if "access" in parts:
        return parts["access"], None
    match parts.get("credential", "").split("/"):
        case [access, date, region, service, "sdk_request"]:
            return access, (date, region, service)
    raise UnauthenticatedError


def _parsed_date(text: str) -> datetime:
    try:
        return datetime.strptime(text, _DATE).replace(tzinfo=UTC)
    except ValueError:
        raise UnauthenticatedError from None


def is_timely(signature: Signature, now: datetime) -> bool:
    """Whether the request was signed at most 15 minutes before or after `now`, and on the day it says."""
    if signature.credential_scope and signature.credential_scope[0] != signature.sent_date[:8]:
        return False
    return abs(now - signature.sent_at) <= MAX_CLOCK_SKEW


def needs_body(request: SignedRequest) -> bool:
    """Whether the body must be read to check the signature: not when it was left unsigned, and when there is none."""
    return has_body(request) and request.header("x-sdk-content-sha256") != UNSIGNED_PAYLOAD


def has_body(request: SignedRequest) -> bool:
    return request.header("content-length") not in ("", "0") or request.header("transfer-encoding") != ""


def is_valid(signature: Signature, request: SignedRequest, secret: str, body: bytes | None) -> bool:
    """Whether the secret's owner signed this request; `body` is None when there is one which was left unsigned."""
    key = _signing_key(signature, secret)
    given = signature.digest.encode("latin-1")
    return any(
        hmac.compare_digest(_sign(key, _string_to_sign(signature, canonical)).encode(), given)
        for canonical in _readings(signature, request, body)
    )


def _signing_key(signature: Signature, secret: str) -> bytes:
    if signature.credential_scope is None:
        return secret.encode()
    key = b"SDK" + secret.encode()
    for part in (*signature.credential_scope, "sdk_request"):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    return key


def _sign(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(), hashlib.sha256).hex()


def _string_to_sign(signature: Signature, canonical: bytes) -> str:
    lines = [ALGORITHM, signature.sent_date]
    if signature.credential_scope is not None:
        lines.append("/".join((*signature.credential_scope, "sdk_request")))
    return "\n".join([*lines, hashlib.sha256(canonical).hexdigest()])


def _readings(signature: Signature, request: SignedRequest, body: bytes | None) -> Iterator[bytes]:
    """The canonical forms that may have been signed, the likely one first."""
    pairs = _query_pairs(request.raw_query)
    for payload in _payload_hashes(request, body):
        for query in _canonical_queries(signature, pairs):
            yield _canonical(signature, request, query, payload)
    if signature.credential_scope is not None and request.method == "POST" and body == b"":
        # The Go client puts the query into the payload when a POST has no body at all.
        form = "&".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in sorted(pairs, key=_key_of))
        yield _canonical(signature, request, "", hashlib.sha256(form.encode()).hexdigest())


def _canonical(signature: Signature, request: SignedRequest, query: str, payload: str) -> bytes:
    headers = b"".join(_canonical_header(signature, request, name) for name in signature.signed_headers)
    lines = (
        request.method.encode(),
        _canonical_path(request.raw_path),
        query.encode(),
        headers,
        ";".join(signature.signed_headers).encode("latin-1"),
        payload.encode("latin-1"),
    )
    return b"\n".join(lines)


def _canonical_header(signature: Signature, request: SignedRequest, name: str) -> bytes:
    encoded = name.encode("latin-1")
    value = request.headers.get(encoded, b"").strip()
    if signature.credential_scope is not None:
        value = _WHITESPACE.sub(b" ", value)
    return encoded + b":" + value + b"\n"


def _canonical_path(raw_path: bytes) -> bytes:
    path = quote(unquote_to_bytes(raw_path), safe="/~").encode()
    return path if path.endswith(b"/") else path + b"/"


def _query_pairs(raw_query: bytes) -> QueryPairs:
    pairs = (part.partition(b"=") for part in raw_query.replace(b"+", b" ").split(b"&") if part)
    return [(unquote_to_bytes(key), unquote_to_bytes(value)) for key, _, value in pairs]


def _key_of(pair: tuple[bytes, bytes]) -> bytes:
    return pair[0]


def _canonical_queries(signature: Signature, pairs: QueryPairs) -> Iterator[str]:
    if signature.credential_scope is None:
        # The SDK sorts the values of one key as it has them (numbers as numbers) and sends them in that order; others
        # sort the texts.
        yield _joined(sorted(pairs, key=_key_of))
        yield _joined(sorted(pairs))
    else:
        first_values = dict(reversed(pairs))
        yield _joined(sorted(first_values.items(), key=lambda pair: quote(pair[0], safe="~").lower()))


def _joined(pairs: QueryPairs) -> str:
    return "&".join(f"{quote(key, safe='~')}={quote(value, safe='~')}" for key, value in pairs)


def _payload_hashes(request: SignedRequest, body: bytes | None) -> Iterator[str]:
    """A client that sends its own hash of the body is only believed when the hash is right."""
    declared = request.header("x-sdk-content-sha256")
    if declared == UNSIGNED_PAYLOAD:
        yield UNSIGNED_PAYLOAD
    if body is not None:
        actual = hashlib.sha256(body).hexdigest()
        # The SDK forgets about UNSIGNED-PAYLOAD when the body is empty.
        if declared in ("", actual) or (declared == UNSIGNED_PAYLOAD and not body):
            yield actual
