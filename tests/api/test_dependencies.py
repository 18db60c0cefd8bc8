"""What a handler asks for is provided without a task for each of it."""

from pathlib import Path
from typing import NoReturn

import pytest
from litestar._kwargs import kwargs_model

from tests.identity.home import open_home


def _refuse() -> NoReturn:
    raise AssertionError("a task for a dependency")


async def test_a_request_starts_no_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kwargs_model, "create_task_group", _refuse)
    async with open_home("", tmp_path) as home:
        admin = (await home.token(home.admin, home.project_scope)).text
        async with home.client(admin) as client:
            answer = await client.get(f"/v3/users/{home.admin.id}")
            validated = await client.get("/v3/auth/tokens", headers={"x-subject-token": admin})
    assert (answer.status_code, validated.status_code) == (200, 200)
