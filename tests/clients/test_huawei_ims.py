"""Every method of huaweicloudsdkims' ImsClient, unmodified, against the running system.

What the methods are is read off the client, so that one a new release brings is missed here.
"""

import ast
import inspect
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkims import v2 as ims
from huaweicloudsdkims.v2 import ImsClient

from tests.system import Account, System

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

OPERATIONS = {
    name for name, _ in inspect.getmembers(ImsClient, inspect.isfunction) if hasattr(ImsClient, f"{name}_invoker")
}


class Caller:
    """The client, without a request object for every call."""

    def __init__(self, client: ImsClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**fields: Any) -> Any:
            request = getattr(ims, "".join(part.capitalize() for part in name.split("_")) + "Request")(**fields)
            return getattr(self._client, name)(request)

        return call

    def refusal(self, name: str, **fields: Any) -> tuple[int, str]:
        with pytest.raises(ClientRequestException) as refused:
            getattr(self, name)(**fields)
        return refused.value.status_code, refused.value.error_code

    def finish(self, job_id: str) -> Any:
        """The entities of a job that has ended well."""
        deadline = time.monotonic() + 120
        while (job := self.show_job(job_id=job_id)).status in ("INIT", "RUNNING"):
            assert time.monotonic() < deadline, job
            time.sleep(0.05)
        assert job.status == "SUCCESS", job
        return job.entities


def client_of(system: System, access_key: str, secret_key: str, project_id: str) -> Caller:
    credentials = BasicCredentials(access_key, secret_key, project_id)
    return Caller(ImsClient.new_builder().with_credentials(credentials).with_endpoint(system.url("image")).build())


@pytest.fixture(scope="module")
def client(system: System) -> Caller:
    account = system.cloud()
    return client_of(system, account["ak"], account["sk"], system.project_id())


@pytest.fixture(scope="module")
async def neighbour(system: System) -> Account:
    return await system.add_account("neighbour")


@pytest.fixture(scope="module")
def image(client: Caller, marked_server: str) -> Iterator[str]:
    body = ims.CreateImageRequestBody(name="of-huawei", instance_id=marked_server, tags=["aaa.111"])
    image_id = client.finish(client.create_image(body=body).job_id).image_id
    yield image_id
    client.glance_delete_image(image_id=image_id, body=ims.GlanceDeleteImageRequestBody(delete_backup=False))


def delete(client: Caller, image_id: str) -> None:
    client.glance_delete_image(image_id=image_id, body=ims.GlanceDeleteImageRequestBody(delete_backup=True))
    assert client.list_images(id=image_id).images == []


def test_an_image_is_captured_changed_copied_and_deleted(client: Caller, image: str, marked_server: str) -> None:
    (found,) = client.list_images(id=image).images
    assert (found.name, found.status, found.tags, found.max_ram) == ("of-huawei", "active", ["aaa=111"], "0")
    assert found.data_origin == f"instance,{marked_server}"
    safe = ims.CreateImageRequestBody(name="safe", instance_id=marked_server)
    job_id = client.create_image_in_safe_mode(body=safe).job_id
    entities = client.finish(job_id)
    assert entities.image_name == "safe"
    shown = client.show_job_progress(job_id=job_id)
    assert (shown.status, shown.job_type) == ("SUCCESS", "imsCreateImageByInstance")
    assert shown.entities.image_id == entities.image_id
    change = [ims.UpdateImageRequestBody(op="replace", path="/name", value="renamed")]
    assert client.update_image(image_id=entities.image_id, body=change).name == "renamed"
    delete(client, entities.image_id)
    for method in (client.copy_image_in_region, client.copy_image_in_region_in_safe_mode):
        body = ims.CopyImageInRegionRequestBody(name="copied", description="a copy")
        copy = client.finish(method(image_id=image, body=body).job_id)
        assert copy.image_name == "copied"
        (found,) = client.list_images(id=copy.image_id).images
        assert (found.description, found.data_origin) == ("a copy", f"image,eu-de,{image}")
        delete(client, copy.image_id)
    abroad = ims.CopyImageCrossRegionRequestBody(agency_name="a", name="n", project_name="p", region="eu-nl")
    assert client.refusal("copy_image_cross_region", image_id=image, body=abroad) == (400, "IMG.0105")


def test_an_image_is_exported(system: System, client: Caller, image: str, bucket: str) -> None:
    for method, key in ((client.export_image, "huawei.qcow2"), (client.export_image_in_safe_mode, "safe.qcow2")):
        body = ims.ExportImageRequestBody(bucket_url=f"{bucket}:{key}", file_format="qcow2")
        assert client.finish(method(image_id=image, body=body).job_id).image_id == image
        assert system.s3().head_object(Bucket=bucket, Key=key)["ContentLength"] > 1_000_000


def test_files_are_imported(system: System, client: Caller, bucket: str) -> None:
    system.s3().put_object(Bucket=bucket, Key="to-import", Body=bytes(range(256)) * 4096)
    url = f"{bucket}:to-import"
    for method in (client.create_data_image, client.create_data_image_in_safe_mode):
        data = ims.CreateDataImageRequestBody(name="data", image_url=url, min_disk=1, tags=["a.1"])
        entities = client.finish(method(body=data).job_id)
        assert entities.sub_jobs_result[0].entities.image_id == entities.image_id
        assert [one.virtual_env_type for one in client.list_images(id=entities.image_id).images] == ["DataImage"]
        delete(client, entities.image_id)
    for method in (client.import_image_quick, client.import_image_quick_in_safe_mode):
        body = ims.QuickImportImageByFileRequestBody(
            name="quick", image_url=url, min_disk=1, os_version="CentOS 7.3 64bit"
        )
        entities = client.finish(method(body=body).job_id)
        assert [one.os_version for one in client.list_images(id=entities.image_id).images] == ["CentOS 7.3 64bit"]
        delete(client, entities.image_id)
    made = client.glance_create_image_metadata(body=ims.GlanceCreateImageMetadataRequestBody(name="registered"))
    body = ims.RegisterImageRequestBody(image_url=url)
    assert client.finish(client.register_image(image_id=made.id, body=body).job_id).image_id == made.id
    assert client.glance_show_image(image_id=made.id).status == "active"
    delete(client, made.id)


def test_a_whole_server_becomes_an_image(client: Caller, marked_server: str) -> None:
    body = ims.CreateWholeImageRequestBody(name="whole", instance_id=marked_server, vault_id="any")
    entities = client.finish(client.create_whole_image(body=body).job_id)
    assert entities.image_name == "whole"
    (found,) = client.list_images(id=entities.image_id).images
    assert found.virtual_env_type == "FusionCompute"
    member = ims.BatchAddMembersRequestBody(images=[found.id], projects=["0" * 32])
    assert client.refusal("batch_add_members", body=member) == (400, "IMG.0108")
    delete(client, found.id)


def test_quota_and_systems_are_told(client: Caller, image: str) -> None:
    resources = {one.type: one for one in client.show_image_quota().quotas.resources}
    assert resources["image"].used >= 1
    assert resources["image"].quota == 50
    (centos,) = [one for one in client.list_os_versions(tag="x86").body if one.platform == "CentOS"]
    assert (centos.version_list[0].os_bit, centos.version_list[0].os_type) == (64, "Linux")


def test_tags_are_set_found_and_taken_away(client: Caller, image: str) -> None:
    tag = ims.ResourceTag(key="bbb", value="2")
    client.add_image_tag(image_id=image, body=ims.AddImageTagRequestBody(tag=tag))
    many = [ims.ResourceTag(key="ccc", value="3"), ims.ResourceTag(key="ddd", value="4")]
    create = ims.BatchAddOrDeleteTagsRequestBody(action="create", tags=many)
    client.batch_add_or_delete_tags(image_id=image, body=create)
    client.create_or_update_tags(body=ims.AddOrUpdateTagsRequestBody(image_id=image, tag="ddd.5"))
    client.glance_create_tag(image_id=image, tag="word")
    pairs = {one.key: one.value for one in client.list_image_tags(image_id=image).tags}
    assert pairs == {"aaa": "111", "bbb": "2", "ccc": "3", "ddd": "5", "word": ""}
    assert {"key": "ddd", "values": ["5"]} in [one.to_dict() for one in client.list_images_tags().tags]
    assert "ccc=3" in client.list_tags(limit=500, page=1).tags
    query = ims.ListImageByTagsRequestBody(
        action="filter",
        tags=[ims.Tags(key="ddd", values=["5"])],
        matches=[ims.TagKeyValue(key="resource_id", value=image)],
        limit="10",
        offset="0",
    )
    answer = client.list_image_by_tags(body=query)
    assert (answer.total_count, answer.resources[0].resource_id) == (1, image)
    assert answer.resources[0].resource_detail.status == "active"
    client.delete_image_tag(image_id=image, key="bbb")
    client.batch_delete_tags(image_id=image, body=ims.BatchDeleteTagsRequestBody(tags=many[:1]))
    client.glance_delete_tag(image_id=image, tag="word")
    pairs = {one.key: one.value for one in client.list_image_tags(image_id=image).tags}
    assert pairs == {"aaa": "111", "ddd": "5"}


def test_an_image_is_shared_in_batches_and_one_by_one(
    system: System, client: Caller, image: str, neighbour: Account
) -> None:
    other = client_of(system, neighbour.access_key, neighbour.secret_key, neighbour.project_id)
    body = ims.BatchAddMembersRequestBody(images=[image], projects=[neighbour.project_id])
    (result,) = client.finish(client.batch_add_members(body=body).job_id).results
    assert (result.image_id, result.project_id, result.status) == (image, neighbour.project_id, "success")
    assert other.list_images(id=image).images == []
    accept = ims.BatchUpdateMembersRequestBody(images=[image], project_id=neighbour.project_id, status="accepted")
    (result,) = other.finish(other.batch_update_members(body=accept).job_id).results
    assert result.status == "success"
    assert [one.imagetype for one in other.list_images(id=image).images] == ["shared"]
    listed = client.list_image_members(image_id=image, limit=10)
    assert [(one.member_id, one.status) for one in listed.members] == [(neighbour.project_id, "accepted")]
    assert listed.page_info.current_count == 1
    shown = client.show_image_member(image_id=image, member_id=neighbour.project_id)
    assert (shown.member_type, shown.status) == ("project", "accepted")
    copy = ims.CopyImageInRegionRequestBody(name="mine now")
    delete(other, other.finish(other.copy_image_in_region(image_id=image, body=copy).job_id).image_id)
    (result,) = client.finish(client.batch_delete_members(body=body).job_id).results
    assert result.status == "success"

    member = ims.GlanceAddImageMemberRequestBody(member=neighbour.project_id)
    added = client.glance_add_image_member(image_id=image, body=member)
    assert (added.status, added.member_id) == ("pending", neighbour.project_id)
    named: dict[str, Any] = {"image_id": image, "member_id": neighbour.project_id}
    reject = ims.GlanceUpdateImageMemberRequestBody(status="rejected")
    assert other.glance_update_image_member(body=reject, **named).status == "rejected"
    assert client.glance_show_image_member(**named).status == "rejected"
    assert [one.member_id for one in client.glance_list_image_members(image_id=image).members] == [named["member_id"]]
    client.glance_delete_image_member(**named)
    assert client.glance_list_image_members(image_id=image).members == []
    assert other.refusal("glance_show_image", image_id=image)[0] == 404


def test_glance_is_spoken_too(client: Caller, image: str) -> None:
    body = ims.GlanceCreateImageMetadataRequestBody(
        name="described",
        disk_format="raw",
        container_format="bare",
        os_version="CentOS 7.3 64bit",
        tags=["t"],
        min_disk=1,
    )
    made = client.glance_create_image_metadata(body=body)
    assert (made.status, made.imagetype, made.os_version) == ("queued", "private", "CentOS 7.3 64bit")
    change = [ims.GlanceUpdateImageRequestBody(op="replace", path="/name", value="described anew")]
    assert client.glance_update_image(image_id=made.id, body=change).name == "described anew"
    assert client.glance_show_image(image_id=made.id).name == "described anew"
    assert made.id in [one.id for one in client.glance_list_images(imagetype="private", limit=100).images]
    delete(client, made.id)
    assert client.glance_list_image_schemas().name == "images"
    assert client.glance_show_image_schemas().name == "image"
    assert client.glance_list_image_member_schemas().name == "members"
    assert client.glance_show_image_member_schemas().name == "member"
    assert "v2.7" in [one.id for one in client.list_versions().versions]
    assert [one.id for one in client.show_version(version="v2.7").versions] == ["v2.7"]


def test_every_method_is_called_above() -> None:
    tree = ast.parse(Path(__file__).read_text())
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    refused = {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "refusal"
        if isinstance(node.args[0], ast.Constant)
    }
    assert attributes | refused >= OPERATIONS
