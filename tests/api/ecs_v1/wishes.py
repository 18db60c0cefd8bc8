"""Bodies that the tests of this door send."""

from typing import Any

from stillframe.networks.model import defaults_of
from tests.servers.world import OURS, Door, World

BASE = f"/v1/{OURS}/cloudservers"
Json = dict[str, Any]


def wanted(world: World, **changes: Any) -> Json:
    ours = defaults_of(OURS)
    return {
        "name": "web",
        "imageRef": world.image.id,
        "flavorRef": "s3.tiny",
        "vpcid": ours.router.id,
        "nics": [{"subnet_id": ours.network.id}],
        "root_volume": {"volumetype": "SSD"},
        "availability_zone": "eu-de-01",
        **changes,
    }


async def order(door: Door, world: World, *, dry_run: bool = False, **changes: Any) -> Any:
    return await door.post(BASE, json={"server": wanted(world, **changes), "dry_run": dry_run})


async def job(door: Door, job_id: str) -> Json:
    answer = await door.get(f"/v1/{OURS}/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]
