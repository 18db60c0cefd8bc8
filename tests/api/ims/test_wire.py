"""What IMS bodies may hold, field by field, without a service behind them."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillframe import errors as e
from stillframe.api.ims import wire
from stillframe.api.ims.errors import status_and_code
from stillframe.transfers.model import ExportFormat

SERVER = "877a2cda-ba63-4e1e-b95f-e67e48b6129a"
SEED = {
    "name": "ims_test",
    "description": "Image creation from an ECS",
    "instance_id": SERVER,
    "tags": ["aaa.111", "bbb.333", "ccc.444"],
}

RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def code_of(body: object) -> str:
    """The IMG code a body is refused with; "" when it is taken."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        decoded = wire.decode_body(text, wire.CreateImageBody)
        wire.require_one_source(decoded)
        wire.capture_request(decoded)
    except e.StillframeError as error:
        return status_and_code(error)[1]
    return ""


def test_the_documented_request_is_taken_with_its_tags_split_at_the_first_dot() -> None:
    request = wire.capture_request(wire.decode_body(json.dumps(SEED).encode(), wire.CreateImageBody))
    assert request.tags == ("aaa=111", "bbb=333", "ccc=444")
    assert request.server_id == SERVER
    assert (request.name, request.description) == ("ims_test", "Image creation from an ECS")


@pytest.mark.parametrize("name", ["हिन्दी", "e\u0301t", "日本-1.0 _x"])
def test_names_have_letters_of_all_scripts(name: str) -> None:
    assert wire.checked_name(name) == name


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": None}, "IMG.0013"),
        ({"name": ""}, "IMG.0013"),
        ({"name": "n" * 129}, "IMG.0002"),
        ({"name": " n"}, "IMG.0003"),
        ({"name": "n/"}, "IMG.0003"),
        ({"name": 7}, "IMG.0001"),
        ({"name": "nul\x00"}, "IMG.0001"),
        ({"description": "d" * 1025}, "IMG.0004"),
        ({"description": "a<b"}, "IMG.0054"),
        ({"description": "a\nb"}, "IMG.0054"),
        ({"tags": ["a b"]}, "IMG.0115"),
        ({"tags": ["k" * 37]}, "IMG.0115"),
        ({"tags": ["k." + "v" * 44]}, "IMG.0115"),
        ({"tags": [".v"]}, "IMG.0115"),
        ({"tags": [{"key": "a"}]}, "IMG.0001"),
        ({"tags": "a.b"}, "IMG.0001"),
        ({"tags": [f"k{i}.v" for i in range(11)]}, "IMG.0116"),
        ({"image_tags": [{"key": "a", "value": "b"}]}, "IMG.0001"),
        ({"instance_id": ""}, "IMG.0012"),
        ({"instance_id": "no-uuid"}, "IMG.0012"),
        ({"instance_id": 5}, "IMG.0001"),
        ({"volume_id": SERVER}, "IMG.0001"),
        ({"data_images": [{"volume_id": SERVER}]}, "IMG.0001"),
        ({"min_ram": -1}, "IMG.0055"),
        ({"min_ram": "many"}, "IMG.0055"),
        ({"min_ram": 2048, "max_ram": 1024}, "IMG.0055"),
        ({"min_ram": 1.5}, "IMG.0001"),
        ({"max_ram": 10**30}, "IMG.0055"),
        ({"enterprise_project_id": "x"}, "IMG.0155"),
    ],
)
def test_a_field_that_breaks_its_rule_is_named_by_its_code(change: dict[str, object], code: str) -> None:
    assert code_of(SEED | change) == code


@pytest.mark.parametrize(
    "change",
    [
        {"description": None},
        {"tags": []},
        {"tags": None, "image_tags": [{"key": " a ", "value": " b "}]},
        {"tags": ["rancher"]},
        {"tags": ["k=v"]},
        {"min_ram": "512", "max_ram": 1024},
        {"data_images": []},
        {"enterprise_project_id": "0"},
        {"is_config_init": True, "nobody_knows": {"a": [1]}},
        {"name": "Größe 1.0_x-y"},
        {"instance_id": SERVER.replace("-", "").upper()},
    ],
)
def test_what_clients_send_beyond_the_document_is_taken(change: dict[str, object]) -> None:
    assert code_of(SEED | change) == ""


@pytest.mark.parametrize("body", [b"", b"  ", b"null", b"{}", b" { } "])
def test_an_empty_body_is_told_apart_from_a_broken_one(body: bytes) -> None:
    assert code_of(body) == "IMG.0007"


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b"\xff\xfe", b'{"name":"\\ud800"}', b"[" * 100_000, b"1e999"])
def test_a_broken_body_is_a_format_error(body: bytes) -> None:
    assert code_of(body) == "IMG.0001"


def test_a_body_without_any_source_is_a_format_error_but_an_empty_server_id_is_named() -> None:
    assert code_of({"name": "n"}) == "IMG.0001"
    assert code_of({"name": "n", "instance_id": ""}) == "IMG.0012"


def test_checks_come_in_the_documented_order() -> None:
    """Every field is wrong; mending them one by one shows the next code."""
    body: dict[str, object] = {
        "name": None,
        "description": "<" * 1025,
        "tags": ["?"] * 11,
        "instance_id": "x",
        "min_ram": -1,
    }
    seen = []
    for mend in (
        {"name": "n" * 129},
        {"name": "/"},
        {"name": "n"},
        {"description": "<"},
        {"description": ""},
        {"tags": [f"k{i}" for i in range(11)]},
        {"tags": []},
        {"instance_id": SERVER},
        {"min_ram": 0},
    ):
        seen.append(code_of(body))
        body |= mend
    assert seen == [
        *("IMG.0013", "IMG.0002", "IMG.0003", "IMG.0004", "IMG.0054"),
        *("IMG.0115", "IMG.0116", "IMG.0012", "IMG.0055"),
    ]
    assert code_of(body) == ""


@RELAXED
@given(st.dictionaries(st.sampled_from([*SEED, "image_tags", "min_ram", "max_ram", "data_images"]), json_values))
def test_no_body_makes_anything_but_a_documented_refusal(body: dict[str, object]) -> None:
    assert code_of(json.dumps(body).encode()) in {
        *("", "IMG.0001", "IMG.0002", "IMG.0003", "IMG.0004", "IMG.0007", "IMG.0012", "IMG.0013"),
        *("IMG.0054", "IMG.0055", "IMG.0115", "IMG.0116", "IMG.0155"),
    }


@RELAXED
@given(st.binary(max_size=200))
def test_no_bytes_make_anything_but_a_documented_refusal(body: bytes) -> None:
    assert code_of(body).startswith("IMG.00")


def export_code(**body: object) -> str:
    try:
        decoded = wire.decode_body(json.dumps(body).encode(), wire.ExportBody)
        wire.export_request(SERVER, decoded, zvhd_writes_vhd=False)
    except e.StillframeError as error:
        return status_and_code(error)[1]
    return ""


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("images:a/b/out.qcow2", ""),
        ("images", "IMG.0017"),
        ("https://host/key", "IMG.0017"),
        (":key", "IMG.0068"),
        ("images:", "IMG.0073"),
        ("images:dir/", "IMG.0073"),
        ("images:a b", "IMG.0175"),
        ("images:" + "k" * 256, "IMG.0074"),
        ("images:" + "k/" * 600 + "k", "IMG.0074"),
        ("images:a|b", "IMG.0075"),
        ("images:a\tb", "IMG.0075"),
        ("images:../../etc/x", "IMG.0075"),
        ("images:a//b", "IMG.0075"),
        ("Images:k", "IMG.0109"),
        ("im:k", "IMG.0109"),
        ("10.0.0.1:k", "IMG.0109"),
        ("a..b:k", "IMG.0109"),
    ],
)
def test_an_export_url_that_breaks_a_rule_is_named_by_its_code(url: str, code: str) -> None:
    assert export_code(bucket_url=url, file_format="qcow2") == code


@pytest.mark.parametrize(("text", "code"), [("zvhd", "IMG.0072"), ("", "IMG.0072"), ("QCOW2", ""), ("vhd", "")])
def test_export_formats_are_compared_without_case_and_zvhd_has_no_writer(text: str, code: str) -> None:
    assert export_code(bucket_url="images:k", file_format=text) == code


def test_a_quick_export_takes_no_format_and_delivers_the_stored_one() -> None:
    assert export_code(bucket_url="images:k", is_quick_export=True, file_format="vhd") == "IMG.0001"
    body = wire.decode_body(b'{"bucket_url":"images:k","is_quick_export":true}', wire.ExportBody)
    assert wire.export_request(SERVER, body, zvhd_writes_vhd=False).file_format is None


def test_zvhd_delivers_vhd_where_the_operator_wants_it() -> None:
    body = wire.decode_body(b'{"bucket_url":"images:k","file_format":"zvhd"}', wire.ExportBody)
    assert wire.export_request(SERVER, body, zvhd_writes_vhd=True).file_format is ExportFormat.VHD
