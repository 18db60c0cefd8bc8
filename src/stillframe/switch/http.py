"""The requests of the metadata service, as far as they have to be understood here. Pure."""

import msgspec

from stillframe.switch.plan import Answer

_REASONS = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed"}


class Request(msgspec.Struct, frozen=True):
    method: str
    path: str
    headers: dict[str, str]


def parse_request(data: bytes) -> Request | None:
    """Without its body. Names of headers are in lower case; None for what is no request."""
    head = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    words = head[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1") or not words[1].startswith("/"):
        return None
    pairs = (line.partition(":") for line in head[1:33] if ":" in line)
    headers = {name.strip().lower()[:64]: value.strip()[:256] for name, _, value in pairs}
    return Request(words[0][:16], words[1].partition("?")[0][:1024], headers)


def response(answer: Answer, *, without_body: bool = False) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Service Unavailable')}\r\n"
        f"Content-Type: {answer.content_type}\r\nContent-Length: {len(answer.body)}\r\n"
        "Connection: close\r\nServer: stillframe\r\n\r\n"
    )
    return head.encode("latin-1", "replace") + (b"" if without_body else answer.body)


def failure(status: int) -> Answer:
    text = f"{status} {_REASONS.get(status, 'Service Unavailable')}\n"
    return Answer(number=0, status=status, content_type="text/plain", body=text.encode())
