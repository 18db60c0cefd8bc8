"""The quota and the operating systems."""

from stillframe.images.model import Visibility
from tests.api.ims.desk import Desk
from tests.api.ims.test_members import share
from tests.images.helpers import OTHERS, THEIRS

QUOTA = "/v1/cloudimages/quota"
OS_VERSIONS = "/v1/cloudimages/os_version"


async def used(desk: Desk, project: str) -> dict[str, int]:
    resources = (await desk.ask("GET", QUOTA, project=project)).json()["quotas"]["resources"]
    return {one["type"]: one["used"] for one in resources}


async def test_the_quota_tells_what_counts(desk: Desk) -> None:
    desk.world.choose(image_quota=20)
    assert await used(desk, OTHERS) == {"image": 0, "image_shared": 0, "image_member": 0}
    one, other = (await desk.image()).id, (await desk.image()).id
    await desk.image(visibility=Visibility.PUBLIC)
    await desk.image(visibility=Visibility.COMMUNITY)
    deleted = (await desk.image()).id
    await desk.ask("DELETE", f"/v2/images/{deleted}")
    await share(desk, one, other)
    await share(desk, one, projects=(OTHERS,))
    resources = (await desk.ask("GET", QUOTA, role="readonly")).json()["quotas"]["resources"]
    assert resources == [
        {"type": "image", "used": 3, "quota": 20, "min": 1, "max": 1000},
        {"type": "image_shared", "used": 2, "quota": 20, "min": 1, "max": 1000},
        {"type": "image_member", "used": 2, "quota": 256, "min": 1, "max": 1000},
    ]
    # What is shared with a project is not its burden; a copy is.
    assert await used(desk, THEIRS) == {"image": 0, "image_shared": 0, "image_member": 0}
    only = (await desk.ask("GET", QUOTA, params={"type": "image"})).json()["quotas"]["resources"]
    assert [resource["type"] for resource in only] == ["image"]


async def test_the_operating_systems_are_listed_by_platform_and_tag(small_desk: Desk) -> None:
    small_desk.world.choose(extra_os_versions=("Alpine 3.20 64bit",))

    async def listed(tag: str = "") -> dict[str, list[dict[str, object]]]:
        answer = await small_desk.ask("GET", OS_VERSIONS, params={"tag": tag} if tag else None)
        return {one["platform"]: one["version_list"] for one in answer.json()}

    everything = await listed()
    assert everything["CentOS"][0].keys() == {"platform", "os_version_key", "os_version", "os_bit", "os_type"}
    (found,) = [one for one in everything["CentOS"] if one["os_version"] == "CentOS 7.3 64bit"]
    assert found == {
        "platform": "CentOS",
        "os_version_key": "CentOS 7.3 64bit",
        "os_version": "CentOS 7.3 64bit",
        "os_bit": 64,
        "os_type": "Linux",
    }
    assert "Alpine 3.20 64bit" in {one["os_version"] for one in everything["Other"]}
    assert await listed("x86") == await listed("nonsense") == everything
    arm, uefi = await listed("arm"), await listed("uefi")
    assert "Windows" not in arm
    assert "Windows" in uefi
    assert {one["os_bit"] for versions in (*arm.values(), *uefi.values()) for one in versions} == {64}
    assert uefi == await listed("bms")
