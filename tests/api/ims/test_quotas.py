"""Quotas and flow control are exact, however many ask at once and by whatever door."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from stillframe.errors import ImageJobLimitError
from stillframe.images.errors import ImageQuotaExceededError
from stillframe.images.model import Visibility
from tests.api.ims.desk import Desk, code_of
from tests.images.helpers import THEIRS
from tests.servers.test_actions import a_server

Attempt = Callable[[], Awaitable[httpx.Response]]
AT_ONCE = 20


def upload(desk: Desk, number: int) -> Attempt:
    return lambda: desk.ask("POST", "/v2/images", {"name": f"native-{number}", "disk_format": "raw"})


def copy(desk: Desk, number: int, source: str) -> Attempt:
    return lambda: desk.ask("POST", f"/v1/cloudimages/{source}/copy", {"name": f"copy-{number}"})


def capture(desk: Desk, number: int, server: str) -> Attempt:
    body = {"name": f"capture-{number}", "instance_id": server}
    return lambda: desk.ask("POST", "/v2/cloudimages/action", body)


async def attempts(desk: Desk, kind: str) -> list[Attempt]:
    # Public images are nobody's burden, so that the source of the copies does not count.
    source = (await desk.image(visibility=Visibility.PUBLIC)).id
    servers = [(await a_server(desk.world)).id for _ in range(AT_ONCE)] if kind in ("captures", "everything") else []
    kinds: dict[str, Callable[[int], Attempt]] = {
        "native creates": lambda number: upload(desk, number),
        "copies": lambda number: copy(desk, number, source),
        "captures": lambda number: capture(desk, number, servers[number]),
    }
    if kind in kinds:
        return [kinds[kind](number) for number in range(AT_ONCE)]
    return [list(kinds.values())[number % 3](number) for number in range(AT_ONCE)]


async def owned(desk: Desk) -> int:
    found = await desk.ask("GET", "/v2/cloudimages", params={"__imagetype": "private"})
    return len(found.json()["images"])


@pytest.mark.parametrize("kind", ["native creates", "copies", "captures", "everything"])
async def test_twenty_at_once_against_a_quota_of_five_leave_five(desk: Desk, kind: str) -> None:
    desk.world.choose(image_quota=5, image_copies_limit=100)
    made = await attempts(desk, kind)
    answers = await asyncio.gather(*[attempt() for attempt in made])
    accepted = [answer for answer in answers if answer.status_code in (200, 201)]
    refused = [answer for answer in answers if answer not in accepted]
    assert (len(accepted), len(refused), await owned(desk)) == (5, 15, 5)
    for answer in refused:
        if "error" in answer.json():
            assert code_of(answer) == "IMG.0015"
            assert answer.json()["error"]["message"] == ImageQuotaExceededError.default_message
        else:
            assert answer.status_code == 413
    resources = (await desk.ask("GET", "/v1/cloudimages/quota", params={"type": "image"})).json()["quotas"]["resources"]
    assert [(one["used"], one["quota"]) for one in resources] == [(5, 5)]


async def test_a_deleted_image_makes_room_for_one_and_no_more(desk: Desk) -> None:
    desk.world.choose(image_quota=3)
    images = [(await desk.image()).id for _ in range(3)]
    assert (await upload(desk, 0)()).status_code == 413
    await desk.ask("DELETE", f"/v2/images/{images[0]}")
    answers = await asyncio.gather(*[upload(desk, number)() for number in range(6)])
    assert [answer.status_code for answer in answers].count(201) == 1


async def test_unfinished_copies_have_a_limit_of_their_own(desk: Desk) -> None:
    source = (await desk.image()).id
    answers = await asyncio.gather(*[copy(desk, number, source)() for number in range(AT_ONCE)])
    assert [answer.status_code for answer in answers].count(200) == 5
    assert {code_of(answer) for answer in answers if answer.status_code != 200} == {"IMG.0060"}
    await desk.world.run_jobs()
    assert (await copy(desk, 21, source)()).status_code == 200


async def test_unfinished_jobs_of_all_kinds_are_counted_together(desk: Desk) -> None:
    desk.world.choose(image_jobs_limit=4)
    image = (await desk.image()).id
    servers = [(await a_server(desk.world)).id for _ in range(4)]
    body = {"images": [image], "projects": [THEIRS]}
    asked = [
        *[capture(desk, number, server)() for number, server in enumerate(servers)],
        *[copy(desk, number, image)() for number in range(4)],
        *[desk.ask("POST", "/v1/cloudimages/members", body) for _ in range(4)],
    ]
    answers = await asyncio.gather(*asked)
    assert [answer.status_code for answer in answers].count(200) == 4
    refused = [answer for answer in answers if answer.status_code != 200]
    assert {code_of(answer) for answer in refused} == {"IMG.0060"}
    assert refused[0].json()["error"]["message"] == ImageJobLimitError.default_message
