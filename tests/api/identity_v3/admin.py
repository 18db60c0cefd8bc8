"""Requests to the identity door that say what they expect."""

import uuid
from typing import Any

import httpx


def unique(prefix: str = "x") -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


class Admin:
    """Requests with an administrator's token, which say what they expect."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def ask(self, method: str, path: str, body: object = None, *, status: int = 200) -> Any:
        answer = await self.http.request(method, f"/v3{path}", json=body)
        assert answer.status_code == status, answer.text
        if method == "HEAD" or status == 204:
            assert answer.content == b""
        return answer.json() if answer.content else None

    async def make(self, kind: str, **fields: Any) -> dict[str, Any]:
        plural = "policies" if kind == "policy" else f"{kind}s"
        answer = await self.ask("POST", f"/{plural}", {kind: {"name": unique(kind), **fields}}, status=201)
        made: dict[str, Any] = answer[kind]
        assert made["links"]["self"] == f"http://iam.test:5000/v3/{plural}/{made['id']}"
        return made
