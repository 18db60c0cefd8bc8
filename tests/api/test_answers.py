"""Answers that are given again: nobody can tell them from new ones, whatever changes, and whoever changes it."""

import httpx
import pytest

from tests.system import System


def _image(image: httpx.Client, name: str) -> str:
    answer = image.post("/v2/images", json={"name": name, "disk_format": "raw", "container_format": "bare"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_a_change_shows_in_the_next_answer(system: System) -> None:
    with system.http("image") as image:
        image_id = _image(image, "remembered-0")
        for number in range(1, 4):
            for _ in range(3):
                assert image.get(f"/v2/images/{image_id}").json()["name"] == f"remembered-{number - 1}"
                found = image.get("/v2/cloudimages", params={"id": image_id}).json()["images"]
                assert [each["name"] for each in found] == [f"remembered-{number - 1}"]
            patch = [{"op": "replace", "path": "/name", "value": f"remembered-{number}"}]
            media_type = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
            assert image.patch(f"/v2/images/{image_id}", json=patch, headers=media_type).status_code == 200
        assert image.delete(f"/v2/images/{image_id}").status_code == 204
        assert image.get(f"/v2/images/{image_id}").status_code == 404
        assert image.get("/v2/images", params={"id": f"in:{image_id}"}).json()["images"] == []


def test_every_answer_has_an_id_of_its_own(system: System) -> None:
    with system.http("image") as image:
        answers = [image.get("/v2/images", params={"limit": 1}) for _ in range(4)]
    assert len({answer.headers["x-openstack-request-id"] for answer in answers}) == 4
    assert len({answer.content for answer in answers}) == 1
    assert len({len(answer.headers.raw) for answer in answers}) == 1


@pytest.mark.parametrize(
    "path", ["/v2/images", "/v2/cloudimages", "/v1/cloudimages/job/0123456789abcdef0123456789abcdef"]
)
def test_a_token_that_was_revoked_gets_no_remembered_answer(system: System, path: str) -> None:
    token = system.new_token()
    with httpx.Client(base_url=system.url("image"), headers={"X-Auth-Token": token}) as image:
        before = [image.get(path).status_code for _ in range(3)]
        assert 401 not in before
        revoked = httpx.delete(
            f"{system.url('identity')}/v3/auth/tokens", headers={"X-Auth-Token": token, "X-Subject-Token": token}
        )
        assert revoked.status_code == 204
        assert image.get(path).status_code == 401


def test_a_revoked_token_is_valid_to_nobody_any_more(system: System) -> None:
    admin, token = system.token("stillframe-admin"), system.new_token()
    with httpx.Client(base_url=system.url("identity"), headers={"X-Auth-Token": admin}) as identity:
        subject = {"X-Subject-Token": token}
        assert [identity.get("/v3/auth/tokens", headers=subject).status_code for _ in range(3)] == [200] * 3
        assert identity.delete("/v3/auth/tokens", headers=subject).status_code == 204
        assert identity.get("/v3/auth/tokens", headers=subject).status_code == 404


async def test_nobody_is_given_what_somebody_else_was_told(system: System) -> None:
    other = await system.add_account("neighbour-of-answers")
    with system.http("image") as image:
        image_id = _image(image, "not-for-the-neighbour")
        for _ in range(3):
            assert image.get(f"/v2/images/{image_id}").status_code == 200
            for token, status in ((other.token, 404), ("", 401)):
                headers = {"X-Auth-Token": token}
                assert image.get(f"/v2/images/{image_id}", headers=headers).status_code == status
        image.delete(f"/v2/images/{image_id}")


def test_other_words_get_another_answer(system: System) -> None:
    headers = {"X-Auth-Token": system.token(), "X-Subject-Token": system.token()}
    with httpx.Client(base_url=system.url("identity"), headers=headers) as identity:
        for _ in range(2):
            assert "catalog" in identity.get("/v3/auth/tokens").json()["token"]
            assert "catalog" not in identity.get("/v3/auth/tokens?nocatalog=1").json()["token"]
