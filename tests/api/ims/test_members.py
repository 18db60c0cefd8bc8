"""Sharing in batches: who may, what each pair meets, and who sees the image afterwards, at both doors."""

import asyncio
import uuid

import pytest

from stillframe.api import compute_v2
from stillframe.identity.model import Project
from stillframe.identity.rows.accounts import insert_project
from stillframe.images.model import ImageKind, ImageStatus, Visibility
from stillframe.kit.ids import new_hex_id
from tests.api.ims.desk import PATCH_TYPE, Desk, code_of
from tests.images.helpers import DOMAIN, OTHERS, OURS, THEIRS

MEMBERS = "/v1/cloudimages/members"


async def share(desk: Desk, *images: str, projects: tuple[str, ...] = (THEIRS,)) -> None:
    job = await desk.job("POST", MEMBERS, {"images": list(images), "projects": list(projects)})
    assert job["status"] == "SUCCESS", job


async def answer(desk: Desk, image_id: str, status: str, project: str = THEIRS) -> None:
    body = {"images": [image_id], "project_id": project, "status": status}
    job = await desk.job("PUT", MEMBERS, body, project=project)
    assert (job["status"], job["job_type"]) == ("SUCCESS", "imsUpdateImageMembersJob")
    assert job["entities"] == {"results": [{"image_id": image_id, "status": "success"}]}


async def test_an_image_is_shared_accepted_rejected_and_taken_back(desk: Desk) -> None:
    image = await desk.image(name="shared")
    other = await desk.image(name="other")
    body = {"images": [image.id, other.id], "projects": [THEIRS, OTHERS]}
    job = await desk.job("POST", MEMBERS, body)
    assert (job["status"], job["job_type"]) == ("SUCCESS", "imsAddImageMembersJob")
    assert job["entities"] == {
        "results": [
            {"image_id": image_id, "project_id": project, "status": "success"}
            for image_id in (image.id, other.id)
            for project in (THEIRS, OTHERS)
        ]
    }
    owners = await desk.shown(image.id)
    assert (owners["visibility"], owners["__imagetype"]) == ("shared", "private")

    async def listed(**params: str) -> list[str]:
        found = await desk.ask("GET", "/v2/cloudimages", params={"name": "shared", **params}, project=THEIRS)
        return [one["id"] for one in found.json()["images"]]

    assert await listed() == []
    assert await listed(visibility="shared", member_status="pending") == [image.id]
    await answer(desk, image.id, "accepted")
    assert await listed() == await listed(__imagetype="shared") == [image.id]
    seen = await desk.shown(image.id, THEIRS)
    assert (seen["visibility"], seen["__imagetype"]) == ("shared", "shared")
    await answer(desk, image.id, "rejected")
    assert await listed() == []
    assert await listed(visibility="shared", member_status="rejected") == [image.id]

    job = await desk.job("DELETE", MEMBERS, {"images": [image.id], "projects": [THEIRS, OTHERS]})
    assert (job["status"], job["job_type"]) == ("SUCCESS", "imsDelImageMembersJob")
    assert [one["status"] for one in job["entities"]["results"]] == ["success", "success"]
    assert (await desk.shown(image.id))["visibility"] == "private"
    assert await listed(visibility="shared", member_status="rejected") == []


async def test_sharing_again_changes_nothing_and_removing_a_stranger_fails_for_that_pair(desk: Desk) -> None:
    image = await desk.image()
    await share(desk, image.id)
    await answer(desk, image.id, "accepted")
    await share(desk, image.id, projects=(THEIRS, THEIRS, OTHERS))
    members = (await desk.ask("GET", f"/v2/images/{image.id}/members")).json()["members"]
    assert {one["member_id"]: one["status"] for one in members} == {THEIRS: "accepted", OTHERS: "pending"}
    await desk.job("DELETE", MEMBERS, {"images": [image.id], "projects": [OTHERS]})
    job = await desk.job("DELETE", MEMBERS, {"images": [image.id], "projects": [THEIRS, OTHERS]})
    assert job["status"] == "SUCCESS"
    assert [(one["status"], one.get("error_code")) for one in job["entities"]["results"]] == [
        ("success", None),
        ("fail", "IMG.0113"),
    ]
    job = await desk.job("DELETE", MEMBERS, {"images": [image.id], "projects": [THEIRS]})
    assert (job["status"], job["error_code"], job["fail_reason"]) == (
        "FAIL",
        "IMG.0113",
        "Failed to delete the tenant.",
    )
    assert [one["status"] for one in job["entities"]["results"]] == ["fail"]


async def test_what_a_batch_is_refused_with_comes_in_the_documented_order(small_desk: Desk) -> None:
    desk = small_desk
    image = (await desk.image()).id
    unknown, nobody = str(uuid.uuid4()), new_hex_id()
    for method in ("POST", "DELETE"):
        assert await desk.refusal(method, MEMBERS, {}) == "IMG.0007"
        assert await desk.refusal(method, MEMBERS, {"images": image, "projects": [THEIRS]}) == "IMG.0001"
        assert await desk.refusal(method, MEMBERS, {"images": [], "projects": []}) == "IMG.0086"
        assert await desk.refusal(method, MEMBERS, {"projects": [THEIRS]}) == "IMG.0086"
        assert await desk.refusal(method, MEMBERS, {"images": [image]}) == "IMG.0041"
        assert await desk.refusal(method, MEMBERS, {"images": [image], "projects": [""]}) == "IMG.0041"
        domains = {"images": [image], "projects": [THEIRS], "domains": ["d"]}
        assert await desk.refusal(method, MEMBERS, domains) == "IMG.0105"
        assert await desk.refusal(method, MEMBERS, {"images": [image], "projects": ["x"]}) == "IMG.0067"
        assert await desk.refusal(method, MEMBERS, {"images": ["x"], "projects": [THEIRS]}) == "IMG.0066"
        assert await desk.refusal(method, MEMBERS, {"images": [unknown], "projects": [THEIRS]}) == "IMG.0027"
        assert await desk.refusal(method, MEMBERS, {"images": [image, unknown], "projects": [THEIRS]}) == "IMG.0027"
        assert await desk.refusal(method, MEMBERS, {"images": [image], "projects": [nobody]}) == "IMG.0108"
        body = {"images": [image], "projects": [THEIRS]}
        assert await desk.refusal(method, MEMBERS, body, role="readonly") == "IMG.0026"
    assert await desk.refusal("POST", MEMBERS, {"images": [unknown], "projects": [OURS, nobody]}) == "IMG.0076"
    assert await desk.world.queued_jobs() == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"visibility": Visibility.PUBLIC}, "IMG.0089"),
        ({"visibility": Visibility.COMMUNITY}, "IMG.0089"),
        ({"kind": ImageKind.ISO}, "IMG.0167"),
        ({"properties": {"__whole_image": "true"}}, "IMG.0135"),
        ({"properties": {"__system__cmkid": "k"}}, "IMG.0098"),
        ({"status": ImageStatus.DEACTIVATED}, "IMG.0046"),
        ({"status": ImageStatus.QUEUED, "layer_id": None}, "IMG.0046"),
    ],
    ids=str,
)
async def test_an_image_that_cannot_be_shared_is_told_by_its_code(
    shared_desk: Desk, fields: dict[str, object], code: str
) -> None:
    image = await shared_desk.image(**fields)
    assert await shared_desk.refusal("POST", MEMBERS, {"images": [image.id], "projects": [THEIRS]}) == code


async def test_another_projects_image_is_not_shared_by_who_only_sees_it(small_desk: Desk) -> None:
    gold = small_desk.world.image.id
    assert await small_desk.refusal("POST", MEMBERS, {"images": [gold], "projects": [THEIRS]}) == "IMG.0089"
    image = await small_desk.image()
    await share(small_desk, image.id)
    body = {"images": [image.id], "projects": [OTHERS]}
    assert await small_desk.refusal("POST", MEMBERS, body, project=THEIRS) == "IMG.0047"
    assert await small_desk.refusal("DELETE", MEMBERS, body, project=THEIRS) == "IMG.0047"


async def test_an_answer_comes_from_a_member_only(small_desk: Desk) -> None:
    desk = small_desk
    image, community = (await desk.image()).id, (await desk.image(visibility=Visibility.COMMUNITY)).id
    body = {"images": [image], "project_id": THEIRS, "status": "accepted"}
    refused = [
        ({}, "IMG.0007"),
        (body | {"images": []}, "IMG.0086"),
        (body | {"project_id": None}, "IMG.0001"),
        (body | {"project_id": "x"}, "IMG.0067"),
        (body | {"project_id": OTHERS}, "IMG.0067"),
        (body | {"status": "pending"}, "IMG.0001"),
        (body | {"status": "ACCEPTED"}, "IMG.0001"),
        (body | {"status": None}, "IMG.0001"),
        (body | {"images": ["x"]}, "IMG.0066"),
        (body, "IMG.0027"),
        (body | {"images": [community]}, "IMG.0106"),
        (body | {"images": [desk.world.image.id]}, "IMG.0114"),
    ]
    for wanted, code in refused:
        assert await desk.refusal("PUT", MEMBERS, wanted, project=THEIRS) == code, wanted
    assert await desk.refusal("PUT", MEMBERS, body | {"project_id": OURS}) == "IMG.0114"
    await share(desk, image)
    assert await desk.refusal("PUT", MEMBERS, body, project=THEIRS, role="readonly") == "IMG.0026"
    await answer(desk, image, "accepted")


async def add_project(desk: Desk, number: int) -> str:
    project_id = f"{number:032x}"
    async with desk.world.database.writing() as tx:
        await insert_project(tx, Project(id=project_id, name=f"eu-de_{number}", domain_id=DOMAIN))
    return project_id


async def test_an_image_has_at_most_256_members_and_a_full_ecs_image_ten(desk: Desk) -> None:
    projects = [await add_project(desk, number) for number in range(1, 258)]
    image = (await desk.image()).id
    whole = (await desk.image(properties={"__whole_image": "true", "__backup_id": "b"})).id
    assert await desk.refusal("POST", MEMBERS, {"images": [image], "projects": projects}) == "IMG.0088"
    await share(desk, image, projects=tuple(projects[:255]))
    # Two at once: both fit when they are asked for, one when they are done.
    answers = [await desk.ask("POST", MEMBERS, {"images": [image], "projects": [one]}) for one in projects[255:257]]
    await desk.world.run_jobs()
    jobs = [await desk.show_job(one.json()["job_id"]) for one in answers]
    assert sorted((job["status"], job["error_code"]) for job in jobs) == [("FAIL", "IMG.0088"), ("SUCCESS", None)]
    members = (await desk.ask("GET", f"/v2/images/{image}/members")).json()["members"]
    assert len(members) == 256
    assert await desk.refusal("POST", MEMBERS, {"images": [whole], "projects": projects[:11]}) == "IMG.0088"
    await share(desk, whole, projects=tuple(projects[:10]))
    assert await desk.refusal("POST", MEMBERS, {"images": [whole], "projects": projects[10:11]}) == "IMG.0088"


async def test_what_happens_between_submission_and_run_is_told_in_the_job(desk: Desk) -> None:
    gone, sold, off, fine = [(await desk.image()).id for _ in range(4)]
    jobs = {
        image: (await desk.ask("POST", MEMBERS, {"images": [image], "projects": [THEIRS]})).json()["job_id"]
        for image in (gone, sold, off)
    }
    both = (await desk.ask("POST", MEMBERS, {"images": [gone, fine], "projects": [THEIRS]})).json()["job_id"]
    assert (await desk.ask("DELETE", f"/v2/images/{gone}")).status_code == 204
    sale = [{"op": "replace", "path": "/owner", "value": OTHERS}]
    answer = await desk.ask("PATCH", f"/v2/images/{sold}", sale, role="admin", headers=PATCH_TYPE)
    assert answer.status_code == 200
    assert (await desk.ask("POST", f"/v2/images/{off}/actions/deactivate")).status_code == 204
    await desk.world.run_jobs()
    codes = {image: (await desk.show_job(job))["error_code"] for image, job in jobs.items()}
    assert codes == {gone: "IMG.0144", sold: "IMG.0112", off: "IMG.0046"}
    mixed = await desk.show_job(both)
    assert mixed["status"] == "SUCCESS"
    assert [(one["status"], one.get("error")) for one in mixed["entities"]["results"]] == [
        ("fail", "The image does not exist."),
        ("success", None),
    ]


async def test_members_are_listed_page_by_page_and_shown_one_by_one(small_desk: Desk) -> None:
    desk = small_desk
    image = (await desk.image()).id
    projects = [await add_project(desk, number) for number in range(1, 6)]
    await share(desk, image, projects=(*projects, THEIRS))
    path = f"/v1/{OURS}/cloudimages/{image}/members"
    seen, marker = [], {}
    while True:
        page = (await desk.ask("GET", path, params={"limit": 4, **marker})).json()
        seen += [member["member_id"] for member in page["members"]]
        assert page["page_info"]["current_count"] == len(page["members"])
        if page["page_info"]["next_marker"] is None:
            break
        marker = {"marker": page["page_info"]["next_marker"]}
    assert sorted(seen) == sorted([*projects, THEIRS])
    shown = (await desk.ask("GET", f"{path}/{THEIRS}")).json()
    assert (shown["status"], shown["member_type"], shown["image_id"]) == ("pending", "project", image)
    theirs = f"/v1/{THEIRS}/cloudimages/{image}/members"
    own = (await desk.ask("GET", theirs, project=THEIRS)).json()["members"]
    assert [member["member_id"] for member in own] == [THEIRS]
    assert await desk.refusal("GET", f"{theirs}/{projects[0]}", project=THEIRS) == "IMG.0114"
    assert await desk.refusal("GET", f"{path}/{OTHERS}") == "IMG.0114"
    assert await desk.refusal("GET", f"{path}/x") == "IMG.0067"
    assert await desk.refusal("GET", path, params={"limit": "0"}) == "IMG.0001"
    assert await desk.refusal("GET", path, params={"marker": OTHERS}) == "IMG.0001"
    assert await desk.refusal("GET", path, project=THEIRS) == "IMG.0030"
    assert await desk.refusal("GET", f"/v1/{OTHERS}/cloudimages/{image}/members", project=OTHERS) == "IMG.0027"
    assert await desk.refusal("GET", f"/v1/{OURS}/cloudimages/x/members") == "IMG.0066"


async def test_an_outsider_cannot_tell_an_image_from_none(small_desk: Desk) -> None:
    """Every door answers for somebody else's image exactly as for an id that nobody has."""
    desk = small_desk
    private, shared = (await desk.image()).id, (await desk.image()).id
    await share(desk, shared)
    doors: list[tuple[str, str, object]] = [
        ("POST", MEMBERS, {"images": ["ID"], "projects": [THEIRS]}),
        ("DELETE", MEMBERS, {"images": ["ID"], "projects": [THEIRS]}),
        ("PUT", MEMBERS, {"images": ["ID"], "project_id": OTHERS, "status": "accepted"}),
        ("GET", f"/v1/{OTHERS}/cloudimages/ID/members", None),
        ("GET", f"/v1/{OTHERS}/cloudimages/ID/members/{THEIRS}", None),
        ("POST", "/v1/cloudimages/ID/copy", {"name": "copy"}),
        ("POST", "/v1/cloudimages/ID/file", {"bucket_url": "bucket:key", "file_format": "qcow2"}),
        ("GET", "/v2/cloudimages?id=ID", None),
        ("GET", "/v2/cloudimages?marker=ID", None),
        ("GET", "/v2/images/ID", None),
        ("GET", "/v2/images?id=ID", None),
        ("GET", "/v2/images/ID/file", None),
        ("GET", "/v2/images/ID/members", None),
        ("GET", f"/v2/images/ID/members/{THEIRS}", None),
        ("POST", "/v2/images/ID/members", {"member": OTHERS}),
        ("PUT", f"/v2/images/ID/members/{OTHERS}", {"status": "accepted"}),
        ("DELETE", f"/v2/images/ID/members/{THEIRS}", None),
        ("PUT", "/v2/images/ID/tags/t", None),
        ("DELETE", "/v2/images/ID", None),
        ("POST", "/v2/images/ID/actions/deactivate", None),
    ]

    async def answer_for(image_id: str, method: str, path: str, body: object) -> tuple[int, str]:
        wanted = (
            None if body is None else {key: [image_id] if value == ["ID"] else value for key, value in body.items()}
        )  # type: ignore[attr-defined]
        answered = await desk.ask(method, path.replace("ID", image_id), wanted, project=OTHERS)
        return answered.status_code, answered.text.replace(image_id, "ID")

    for door in doors:
        nobody = await answer_for(str(uuid.uuid4()), *door)
        assert await answer_for(private, *door) == nobody, door
        assert await answer_for(shared, *door) == nobody, door


async def test_a_server_is_started_from_a_shared_image_by_its_members_and_nobody_else(small_desk: Desk) -> None:
    """An outsider hears what he would hear of an image that is not there."""
    image = (await small_desk.image()).id
    unknown = str(uuid.uuid4())
    await share(small_desk, image)
    await answer(small_desk, image, "accepted")
    async with small_desk.world.door(compute_v2) as nova:

        async def boot(image_id: str, project: str) -> tuple[int, str]:
            nova.speak_as(project)
            server = {"name": "s", "flavorRef": "s3.tiny", "imageRef": image_id, "networks": "auto"}
            answered = await nova.post(
                f"/v2.1/{project}/servers", json={"server": server}, headers={"OpenStack-API-Version": "compute 2.60"}
            )
            return answered.status_code, answered.text.replace(image_id, "ID")

        assert (await boot(image, THEIRS))[0] == 202
        refused = await boot(image, OTHERS)
        assert refused == await boot(unknown, OTHERS)
        assert refused[0] == 400
        await small_desk.job("DELETE", MEMBERS, {"images": [image], "projects": [THEIRS]})
        assert await boot(image, THEIRS) == refused


async def test_batches_at_once_do_not_lose_a_member(desk: Desk) -> None:
    image = (await desk.image()).id
    projects = [await add_project(desk, number) for number in range(1, 13)]
    answers = [await desk.ask("POST", MEMBERS, {"images": [image], "projects": [one]}) for one in projects]
    assert {answer.status_code for answer in answers} == {200}
    await asyncio.gather(*[desk.world.carry_out(job) for job in await desk.world.queued_jobs()])
    members = (await desk.ask("GET", f"/v2/images/{image}/members")).json()["members"]
    assert {member["member_id"] for member in members} == set(projects)


async def test_unfinished_jobs_are_limited(small_desk: Desk) -> None:
    small_desk.world.choose(image_jobs_limit=1)
    image = (await small_desk.image()).id
    body = {"images": [image], "projects": [THEIRS]}
    assert (await small_desk.ask("POST", MEMBERS, body)).status_code == 200
    refused = await small_desk.ask("POST", MEMBERS, body)
    assert code_of(refused) == "IMG.0060"
    assert refused.json()["error"]["message"] == "The number of tasks exceeds the flow control limit."
