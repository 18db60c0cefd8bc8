"""Downloads on somebody's behalf: what may be reached, and what comes of servers that misbehave."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stillframe.blobs import web as web_module
from stillframe.blobs.web import MAX_REDIRECTS, open_file
from stillframe.blobs.web_rules import WebRules, public_addresses, read_url
from stillframe.config import Settings
from stillframe.errors import DownloadFailedError, StillframeError, UrlRefusedError
from tests.web_server import WebServer

PUBLIC_ONLY = WebRules.of(Settings())


def rules(*hosts: str, port: int = 80) -> WebRules:
    return WebRules.of(Settings(web_download_hosts=hosts, web_download_ports=(80, 443, port)))


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer().serving() as server:
        yield server


async def fetched(url: str, allowed: WebRules) -> bytes:
    async with open_file(url, allowed) as file:
        return b"".join([chunk async for chunk in file.chunks])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "disk.raw",
        "//93.184.216.34/x",
        "file:///etc/passwd",
        "ftp://93.184.216.34/x",
        "gopher://93.184.216.34/x",
        "http://",
        "http:///x",
        "http://user@example.com/x",
        "http://user:password@example.com/x",
        "http://example.com@127.0.0.1/x",
        "http://127.0.0.1\\@example.com/x",
        "http://example.com:22/x",
        "http://example.com:0/x",
        "http://example.com:99999/x",
        "http://example.com:8080/x",
        "http://exa\x00mple.com/x",
        "http://exam\ud800ple.com/x",
        "http://example.com/" + "x" * 3000,
        "http://127.0.0.1/x",
        "http://127.8.9.10/x",
        "http://0.0.0.0/x",
        "http://10.1.2.3/x",
        "http://172.16.0.1/x",
        "http://192.168.1.1/x",
        "http://100.100.100.200/latest/meta-data",
        "http://169.254.169.254/openstack/latest",
        "http://168.63.129.16/metadata",
        "http://192.0.0.192/opc/v2/instance/",
        "http://192.0.2.1/x",
        "http://224.0.0.1/x",
        "http://255.255.255.255/x",
        "http://240.0.0.1/x",
        "http://[::1]/x",
        "http://[::]/x",
        "http://[::ffff:127.0.0.1]/x",
        "http://[::ffff:169.254.169.254]/x",
        "http://[::127.0.0.1]/x",
        "http://[64:ff9b::7f00:1]/x",
        "http://[2002:7f00:1::]/x",
        "http://[2001:0:53aa:64c::]/x",
        "http://[fe80::1]/x",
        "http://[fe80::1%25eth0]/x",
        "http://[fec0::1]/x",
        "http://[3fff::1]/x",
        "http://[fd00:ec2::254]/latest",
        "http://[ff02::1]/x",
        "http://[nonsense]/x",
    ],
)
def test_a_url_that_must_not_be_followed_is_refused_without_a_look_up(url: str) -> None:
    with pytest.raises(UrlRefusedError):
        read_url(url, PUBLIC_ONLY)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://example.com/disk.qcow2", "example.com", 80),
        ("https://Example.COM./a%20b?c=d#e", "example.com", 443),
        ("https://example.com:443/", "example.com", 443),
        ("http://93.184.216.34/x", "93.184.216.34", 80),
        ("http://[2606:2800:220:1::1]/x", "2606:2800:220:1::1", 80),
        ("http://münchen.example/x", "xn--mnchen-3ya.example", 80),
    ],
)
def test_a_public_url_is_taken_apart(url: str, host: str, port: int) -> None:
    read = read_url(url, PUBLIC_ONLY)
    assert (read.host, read.port) == (host, port)


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f000001", "017700000001"])
async def test_a_name_or_an_odd_spelling_of_what_is_not_public_is_refused_when_it_is_looked_up(host: str) -> None:
    with pytest.raises(UrlRefusedError):
        await public_addresses(host, 80, PUBLIC_ONLY)


async def test_a_name_nobody_knows_is_said() -> None:
    with pytest.raises(DownloadFailedError, match="cannot be resolved"):
        await public_addresses("nowhere.invalid", 80, PUBLIC_ONLY)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.0/8", "::1/128"])
def test_the_operator_opens_addresses_and_networks(host: str) -> None:
    allowed = rules(host)
    url = "http://[::1]/x" if ":" in host else "http://127.0.0.1/x"
    assert read_url(url, allowed).port == 80
    with pytest.raises(UrlRefusedError):
        read_url("http://10.0.0.1/x", allowed)


async def test_a_file_is_fetched_as_it_is(web: WebServer) -> None:
    web.files["/disk"] = bytes(range(256)) * 1000
    assert await fetched(web.url("/disk"), rules("127.0.0.1", port=web.port)) == web.files["/disk"]


async def test_a_name_is_looked_up_once_and_the_connection_goes_where_it_pointed_then(
    web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second look-up could point anywhere (DNS rebinding)."""
    web.files["/disk"] = b"here"
    looked_up: list[str] = []

    async def only_once(host: str, port: int, **_: Any) -> list[Any]:
        looked_up.append(host)
        address = "127.0.0.1" if len(looked_up) == 1 else "192.0.2.1"
        return [(2, 1, 6, "", (address, port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", only_once, raising=False)
    allowed = rules("127.0.0.1", port=web.port)
    assert await fetched(web.url("/disk", "mirror.example"), allowed) == b"here"
    assert looked_up == ["mirror.example"]
    assert web.asked == [("/disk", f"mirror.example:{web.port}")]


async def test_a_host_with_one_address_that_is_not_public_is_refused_altogether(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def both(host: str, port: int, **_: Any) -> list[Any]:
        return [(2, 1, 6, "", (address, port)) for address in ("93.184.216.34", "10.0.0.1")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", both, raising=False)
    with pytest.raises(UrlRefusedError):
        await public_addresses("both.example", 80, PUBLIC_ONLY)


async def test_every_redirect_is_held_against_the_rules(web: WebServer) -> None:
    web.files["/disk"] = b"here"
    allowed = rules("127.0.0.1", port=web.port)
    web.redirects["/moved"] = "/disk"
    assert await fetched(web.url("/moved"), allowed) == b"here"
    refused = ["http://169.254.169.254/", "file:///etc/passwd", "http://127.0.0.1:1/", "http://["]
    for target in refused:
        web.redirects["/away"] = target
        with pytest.raises(UrlRefusedError):
            await fetched(web.url("/away"), allowed)


async def test_redirects_come_to_an_end(web: WebServer) -> None:
    web.redirects["/round"] = "/round"
    with pytest.raises(DownloadFailedError, match=str(MAX_REDIRECTS)):
        await fetched(web.url("/round"), rules("127.0.0.1", port=web.port))
    assert len(web.asked) == MAX_REDIRECTS + 1


@pytest.mark.parametrize("path", ["/missing", "/gzip", "/short"])
async def test_what_is_not_the_whole_file_is_a_failure(web: WebServer, path: str) -> None:
    with pytest.raises(DownloadFailedError) as caught:
        await fetched(web.url(path), rules("127.0.0.1", port=web.port))
    assert caught.value.message


async def test_a_server_that_only_keeps_the_line_busy_is_given_up(
    web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_module, "SLOW_GRACE_S", 0.0)
    monkeypatch.setattr(web_module, "MIN_BYTES_PER_S", 10**12)
    web.files["/disk"] = bytes(100_000)
    with pytest.raises(DownloadFailedError, match="too slowly"):
        await fetched(web.url("/disk"), rules("127.0.0.1", port=web.port))


async def test_a_server_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(StillframeError) as caught:
        await fetched("http://127.0.0.1:9/disk", rules("127.0.0.1", port=9))
    assert isinstance(caught.value, DownloadFailedError)
