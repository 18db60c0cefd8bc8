"""The two dialects of SDK-HMAC-SHA256, against signatures made by the clients' own code."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer
from hypothesis import given
from hypothesis import strategies as st

from stillframe.errors import UnauthenticatedError
from stillframe.identity.signatures import (
    SignedRequest,
    has_body,
    is_timely,
    is_valid,
    needs_body,
    parse_signature,
)

SECRET = "SKEXAMPLE"
HOST = "127.0.0.1:18801"
SENT = datetime(2026, 1, 1, tzinfo=UTC)

SDK_HEADERS = {
    "content-type": "application/json",
    "host": HOST,
    "user-agent": "ua",
    "x-project-id": "b912fb4a4c464b568ecfca1071b21b10",
    "x-sdk-date": "20260101T000000Z",
}
SDK_AUTHORIZATION = (
    "SDK-HMAC-SHA256 Access=AKEXAMPLE, SignedHeaders=content-type;host;user-agent;x-project-id;x-sdk-date, Signature="
)
GO_HEADERS = {
    "accept": "application/json",
    "content-type": "application/json",
    "host": HOST,
    "user-agent": "golangsdk/2.0.0",
    "x-sdk-date": "20260101T000000Z",
}
GO_AUTHORIZATION = (
    "SDK-HMAC-SHA256 Credential=AKEXAMPLE/20260101///sdk_request, "
    "SignedHeaders=accept;content-type;host;user-agent;x-sdk-date, Signature="
)
SDK_BODY = b'{"name": "ims_test", "instance_id": "877a2cda-ba63-4e1e-b95f-e67e48b6129a"}'
GO_BODY = b'{"name":"ims_test","instance_id":"877a2cda-ba63-4e1e-b95f-e67e48b6129a"}'


def request(method: str, target: str, headers: dict[str, str], authorization: str = "", **more: str) -> SignedRequest:
    path, _, query = target.partition("?")
    named = headers | more | ({"authorization": authorization} if authorization else {})
    return SignedRequest(
        method=method,
        raw_path=path.encode(),
        raw_query=query.encode(),
        headers={name.replace("_", "-").encode(): value.encode() for name, value in named.items()},
    )


def check(signed: SignedRequest, body: bytes | None = b"", secret: str = SECRET) -> bool:
    return is_valid(parse_signature(signed), signed, secret, body)


CAPTURE = request(
    "POST",
    "/v2/cloudimages/action",
    SDK_HEADERS,
    SDK_AUTHORIZATION + "fca7fc8a3471325d2e9f270d2b50655418965ebaad61f9930eb82d810057aed3",
)


def test_the_python_sdk_s_post_with_a_body() -> None:
    assert check(CAPTURE, SDK_BODY)


def test_the_python_sdk_s_get_with_a_query() -> None:
    """A value that holds an equals sign is quoted in the text that is signed, but not on the wire."""
    signed = request(
        "GET",
        "/v2/cloudimages?__imagetype=gold&limit=1&tag=a=b",
        SDK_HEADERS,
        SDK_AUTHORIZATION + "8061b22163ee4d1ded29d3daa8d14cc4a4f1320911b9e90808d0e400ae32c5b8",
    )
    assert check(signed)


def test_the_go_client_s_post_with_a_body() -> None:
    signed = request(
        "POST",
        "/v2/cloudimages/action",
        GO_HEADERS,
        GO_AUTHORIZATION + "f4895ef48fb7f2ce42ef5e8fb2d593c5430d2e2d8e55272c6709435c0362f823",
    )
    assert check(signed, GO_BODY)


def test_headers_that_were_not_signed_may_come_on_top() -> None:
    added = request("POST", "/v2/cloudimages/action", SDK_HEADERS, connection="close", x_domain_id="d" * 32)
    signed = SignedRequest(
        method="POST",
        raw_path=added.raw_path,
        raw_query=b"",
        headers={**added.headers, b"authorization": CAPTURE.headers[b"authorization"]},
    )
    assert check(signed, SDK_BODY)


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "PUT"},
        {"raw_path": b"/v2/cloudimages/action2"},
        {"raw_query": b"limit=1"},
        {"headers": {**CAPTURE.headers, b"host": b"127.0.0.1:18802"}},
        {"headers": {**CAPTURE.headers, b"x-project-id": b"a" * 32}},
        {"headers": {**CAPTURE.headers, b"x-sdk-date": b"20260101T000001Z"}},
        {"headers": {**CAPTURE.headers, b"x-sdk-content-sha256": b"UNSIGNED-PAYLOAD"}},
        {"headers": {**CAPTURE.headers, b"x-sdk-content-sha256": hashlib.sha256(SDK_BODY + b" ").hexdigest().encode()}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_whatever_is_changed_on_the_way_breaks_the_signature(changed: dict[str, object]) -> None:
    fields = {name: getattr(CAPTURE, name) for name in CAPTURE.__struct_fields__}
    assert not check(SignedRequest(**{**fields, **changed}), SDK_BODY)


def test_another_body_or_another_secret_breaks_the_signature() -> None:
    assert not check(CAPTURE, SDK_BODY + b" ")
    assert not check(CAPTURE, b"")
    assert not check(CAPTURE, None)
    assert not check(CAPTURE, SDK_BODY, secret="SKEXAMPLF")


def test_a_hash_the_client_sends_is_only_believed_when_it_is_the_body_s() -> None:
    headers = SDK_HEADERS | {"x-sdk-content-sha256": hashlib.sha256(SDK_BODY).hexdigest()}
    signed = sign_like_the_sdk("POST", "/v2/cloudimages/action", headers, SDK_BODY)
    assert check(signed, SDK_BODY)
    assert not check(signed, b"another body")


def test_a_body_left_unsigned_is_not_needed() -> None:
    headers = {"host": HOST, "Content-Type": "application/openstack-images-v2.1-json-patch"}
    signed = sign_like_the_sdk("PATCH", "/v2/images/x", headers, b"[1]")
    assert signed.header("x-sdk-content-sha256") == "UNSIGNED-PAYLOAD"
    assert check(signed, None)


def test_no_body_can_be_slipped_under_a_signature_over_an_empty_one() -> None:
    """The header that leaves a body unsigned need not be signed itself, so adding it must not help."""
    signed = sign_like_the_sdk("POST", "/v2/cloudimages/action", SDK_HEADERS, b"")
    forged = SignedRequest(
        method=signed.method,
        raw_path=signed.raw_path,
        raw_query=signed.raw_query,
        headers={**signed.headers, b"x-sdk-content-sha256": b"UNSIGNED-PAYLOAD", b"content-length": b"3"},
    )
    assert check(signed, b"")
    assert has_body(forged)
    assert not needs_body(forged)
    assert not check(forged, None)


def go_signature(method: str, path: str, query: str, payload: str) -> str:
    """The Go client's canonical form, put together by hand."""
    names = sorted(GO_HEADERS)
    headers = "".join(f"{name}:{GO_HEADERS[name]}\n" for name in names)
    canonical = "\n".join([method, path, query, headers, ";".join(names), payload])
    text = "\n".join(
        [
            "SDK-HMAC-SHA256",
            GO_HEADERS["x-sdk-date"],
            "20260101///sdk_request",
            hashlib.sha256(canonical.encode()).hexdigest(),
        ]
    )
    key = b"SDK" + SECRET.encode()
    for part in ("20260101", "", "", "sdk_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return GO_AUTHORIZATION + hmac.digest(key, text.encode(), "sha256").hex()


def test_the_go_client_puts_the_query_of_a_post_without_a_body_into_the_payload() -> None:
    form = hashlib.sha256(b"a=x+y&b=%2F").hexdigest()
    authorization = go_signature("POST", "/v1/things/", "", form)
    assert check(request("POST", "/v1/things?b=%2F&a=x+y", GO_HEADERS, authorization))


def test_the_go_client_signs_the_first_value_of_a_key_and_sorts_without_regard_to_case() -> None:
    authorization = go_signature("GET", "/v1/things/", "a=1&B=2&c=%20", hashlib.sha256(b"").hexdigest())
    assert check(request("GET", "/v1/things?c=+&B=2&a=1&a=0", GO_HEADERS, authorization))


@pytest.mark.parametrize("minutes", [-16, -14, 14, 16])
def test_fifteen_minutes_of_clock_difference_are_borne(minutes: int) -> None:
    assert is_timely(parse_signature(CAPTURE), SENT + timedelta(minutes=minutes)) == (abs(minutes) < 15)


def test_a_credential_is_only_good_on_its_day() -> None:
    signed = request("GET", "/", GO_HEADERS | {"x-sdk-date": "20260102T000000Z"}, GO_AUTHORIZATION + "00")
    assert not is_timely(parse_signature(signed), datetime(2026, 1, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer x",
        "SDK-HMAC-SHA256",
        "SDK-HMAC-SHA256 Access=AK",
        "SDK-HMAC-SHA256 Access=AK, SignedHeaders=host",
        "SDK-HMAC-SHA256 Access=AK, SignedHeaders=x-sdk-date, Signature=00",
        "SDK-HMAC-SHA256 Access=AK, SignedHeaders=host, Signature=00",
        "SDK-HMAC-SHA256 Access=AK, SignedHeaders=host;x-sdk-date, Signature=00, Access=AK2",
        "SDK-HMAC-SHA256 Credential=AK, SignedHeaders=host;x-sdk-date, Signature=00",
        "SDK-HMAC-SHA256 Credential=AK/1/2/3/aws4_request, SignedHeaders=host;x-sdk-date, Signature=00",
        "V11-HMAC-SHA256 Credential=AK/20260101/eu-de/ims, SignedHeaders=host;x-sdk-date, Signature=00",
        "SDK-HMAC-SM3 Access=AK, SignedHeaders=host;x-sdk-date, Signature=00",
    ],
)
def test_another_form_of_the_header_is_refused(authorization: str) -> None:
    with pytest.raises(UnauthenticatedError):
        parse_signature(request("GET", "/", SDK_HEADERS, authorization))


@pytest.mark.parametrize("date", ["", "yesterday", "20260101", "20260101T000000", "99999999T999999Z"])
def test_a_date_that_is_none_is_refused(date: str) -> None:
    with pytest.raises(UnauthenticatedError):
        parse_signature(request("GET", "/", SDK_HEADERS | {"x-sdk-date": date}, SDK_AUTHORIZATION + "00"))


def sign_like_the_sdk(
    method: str, path: str, headers: dict[str, str], body: bytes, query: list[tuple[str, object]] | None = None
) -> SignedRequest:
    """Signed by the SDK's own code, and then as it goes over the wire."""
    credentials = SimpleNamespace(ak="AKEXAMPLE", sk=SECRET)
    sdk = SdkRequest(
        method=method,
        schema="http",
        host=HOST,
        resource_path=path,
        query_params=query or [],
        header_params=dict(headers),
        body=body,
    )
    signed = Signer(credentials).sign(sdk)
    target, _, raw_query = signed.uri.partition("?")
    return SignedRequest(
        method=method,
        raw_path=target.encode(),
        raw_query=raw_query.encode(),
        headers={name.lower().encode(): value.encode("latin-1") for name, value in signed.header_params.items()},
    )


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
QUERY = st.lists(
    st.tuples(TEXT.filter(bool), st.one_of(TEXT, st.integers(), st.booleans(), st.lists(TEXT, min_size=1, max_size=3))),
    max_size=4,
    unique_by=lambda pair: pair[0],
)
SEGMENTS = st.lists(TEXT.map(lambda text: quote(text, safe="")), max_size=4)
HEADER_VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=12)


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]),
    segments=SEGMENTS,
    query=QUERY,
    body=st.binary(max_size=50),
    extra=st.dictionaries(st.sampled_from(["X-Project-Id", "X-Custom", "X-Language"]), HEADER_VALUES),
)
def test_whatever_the_python_sdk_signs_is_accepted_and_nothing_with_another_secret(
    method: str, segments: list[str], query: list[tuple[str, object]], body: bytes, extra: dict[str, str]
) -> None:
    signed = sign_like_the_sdk(method, "/" + "/".join(segments), SDK_HEADERS | extra, body, query)
    assert check(signed, body)
    assert not check(signed, body, secret="another")


@given(
    raw_path=st.binary(max_size=30),
    raw_query=st.binary(max_size=30),
    authorization=st.one_of(
        st.binary(max_size=100), st.binary(max_size=60).map(lambda noise: SDK_AUTHORIZATION.encode() + noise)
    ),
    date=st.one_of(st.just(b"20260101T000000Z"), st.binary(max_size=20)),
    body=st.one_of(st.none(), st.binary(max_size=30)),
)
def test_noise_is_refused_and_never_an_error(
    raw_path: bytes, raw_query: bytes, authorization: bytes, date: bytes, body: bytes | None
) -> None:
    noisy = SignedRequest(
        method="GET",
        raw_path=raw_path,
        raw_query=raw_query,
        headers={b"authorization": authorization, b"x-sdk-date": date, b"host": b"\xff"},
    )
    try:
        signature = parse_signature(noisy)
    except UnauthenticatedError:
        return
    assert not is_valid(signature, noisy, SECRET, body)
