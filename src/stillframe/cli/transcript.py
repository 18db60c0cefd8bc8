"""`--verbose`: every request as the curl command that does the same, without the secrets in it."""

import json
import re
import shlex
from typing import Any

import requests

from stillframe.cli.output import format_seconds, printable, say

_SECRET_KEYS = frozenset({"password", "adminpass", "secret", "sk", "private_key"})
_LONG = 200


def print_as_curl(response: requests.Response) -> None:
    request = response.request
    if request.headers.get("X-Auth-Token") is None and (request.url or "").endswith("/auth/tokens"):
        say("# its answer's header X-Subject-Token is the TOKEN of the next commands")
    say(printable(build_curl(request)))
    say(f"#   {response.status_code} {response.reason} in {format_seconds(response.elapsed.total_seconds())}")


def build_curl(request: requests.PreparedRequest) -> str:
    """Quoted for a shell; the token stands as $TOKEN, passwords as $PASSWORD."""
    words = ["curl", "-sS"]
    if request.method != "GET":
        words += ["-X", request.method or ""]
    words.append(shlex.quote(request.url or ""))
    for name in ("X-Auth-Token", "X-Subject-Token"):
        if name in request.headers:
            words += ["-H", f'"{name}: $TOKEN"']
    if isinstance(request.body, str | bytes) and request.body:
        words += ["-H", shlex.quote("Content-Type: application/json")]
        words += ["-d", _quote_body(request.body)]
    return " ".join(words)


def _quote_body(body: str | bytes) -> str:
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    try:
        text = json.dumps(_without_secrets(json.loads(text)))
    except ValueError:
        text = f"<{len(text)} characters>"
    quoted = shlex.quote(text)
    return re.sub(r"\$(PASSWORD|TOKEN)\b", r"""'"$\1"'""", quoted)


def _without_secrets(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        inside_token = key == "token"
        return {k: "$TOKEN" if inside_token and k == "id" else _without_secrets(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    if key.lower() in _SECRET_KEYS and isinstance(value, str):
        return "$PASSWORD"
    return f"<{len(value)} characters>" if isinstance(value, str) and len(value) > _LONG else value
