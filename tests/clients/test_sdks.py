"""The scenario driven by SDKs nobody here wrote, unmodified."""

import io
from typing import Any

import openstack
import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials, GlobalCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkiam.v3 import IamClient, KeystoneListProjectsRequest
from huaweicloudsdkims import v2 as ims
from huaweicloudsdkims.v2 import ImsClient

from tests.clients.otc import OtcConnection
from tests.system import System

pytestmark = pytest.mark.client


@pytest.fixture(scope="module")
def connection(system: System) -> Any:
    return _connect(system)


def _connect(system: System) -> Any:
    config = openstack.config.OpenStackConfig(config_files=[str(system.clouds_yaml)])
    return OtcConnection(config=config.get_one("stillframe"))


def test_otcextensions_creates_waits_queries_and_deletes(connection: Any, marked_server: str) -> None:
    job = connection.imsv2.create_image(
        name="by-otc", description="Image creation from an ECS", instance_id=marked_server, tags=["aaa.111"]
    )
    done = connection.imsv1.wait_for_async_job(job.job_id, wait=1)
    assert done.entities.image_id
    found = list(connection.imsv2.images(id=done.entities.image_id))
    assert [image.name for image in found] == ["by-otc"]
    assert any(image.name == "stillframe-tiny" for image in connection.imsv2.images(__imagetype="gold"))
    connection.image.delete_image(done.entities.image_id)
    assert list(connection.imsv2.images(id=done.entities.image_id)) == []


def test_otcextensions_exports_to_a_bucket(system: System, connection: Any, marked_server: str, bucket: str) -> None:
    image_id = system.capture(marked_server, "for-otc-export")
    job = connection.imsv1.export_image(image_id=image_id, bucket_url=f"{bucket}:otc.vmdk", file_format="vmdk")
    connection.imsv1.wait_for_async_job(job.job_id, wait=1)
    assert system.s3().head_object(Bucket=bucket, Key="otc.vmdk")["ContentLength"] > 1_000_000
    connection.image.delete_image(image_id)


def test_openstacksdk_stops_a_server_and_freezes_it_with_nova(system: System, connection: Any) -> None:
    server = system.create_server("by-nova")
    system.wait_for_console(server, "stillframe: ready")
    found = connection.compute.find_server("by-nova", ignore_missing=False)
    connection.compute.stop_server(found)
    connection.compute.wait_for_server(found, status="SHUTOFF", wait=60)
    image = connection.create_image_snapshot("by-nova-image", found, wait=True, timeout=60)
    assert connection.image.get_image(image.id).status == "active"
    connection.image.delete_image(image.id)
    connection.compute.delete_server(found)
    connection.compute.wait_for_delete(found, wait=60)


def test_openstacksdk_uploads_lists_downloads_and_deletes(connection: Any) -> None:
    data = bytes(range(256)) * 4096
    image = connection.image.create_image(
        "uploaded", data=io.BytesIO(data), disk_format="raw", container_format="bare", visibility="private"
    )
    assert connection.image.find_image("uploaded").id == image.id
    assert connection.image.download_image(image.id).content == data
    connection.image.delete_image(image.id)
    assert connection.image.find_image("uploaded") is None


@pytest.fixture(scope="module")
def ims_client(system: System) -> ImsClient:
    account = system.cloud()
    credentials = BasicCredentials(account["ak"], account["sk"], system.project_id())
    return ImsClient.new_builder().with_credentials(credentials).with_endpoint(system.url("image")).build()


def test_huaweicloudsdkims_signs_its_requests_and_captures(
    system: System, ims_client: ImsClient, marked_server: str
) -> None:
    body = ims.CreateImageRequestBody(
        name="by-huawei",
        instance_id=marked_server,
        image_tags=[ims.TagKeyValue(key="team", value="blue")],
    )
    job_id = ims_client.create_image(ims.CreateImageRequest(body=body)).job_id
    system.wait_for_job(job_id)
    job = ims_client.show_job(ims.ShowJobRequest(job_id=job_id))
    assert job.status == "SUCCESS"
    (image,) = ims_client.list_images(ims.ListImagesRequest(id=job.entities.image_id)).images
    assert image.name == "by-huawei"
    assert image.tags == ["team=blue"]
    assert image.status == "active"
    ims_client.glance_delete_image(
        ims.GlanceDeleteImageRequest(image_id=image.id, body=ims.GlanceDeleteImageRequestBody(delete_backup=False))
    )
    assert ims_client.list_images(ims.ListImagesRequest(id=image.id)).images == []


def test_huaweicloudsdkims_hears_of_refusals_by_code(ims_client: ImsClient) -> None:
    body = ims.CreateImageRequestBody(name="n", instance_id="877a2cda-ba63-4e1e-b95f-e67e48b6129a")
    with pytest.raises(ClientRequestException) as refused:
        ims_client.create_image(ims.CreateImageRequest(body=body))
    assert (refused.value.status_code, refused.value.error_code) == (400, "IMG.0005")


def test_huaweicloudsdkims_finds_its_project_by_the_region(system: System) -> None:
    """Without a project id the SDK asks IAM for the project named like the region, and wants exactly one."""
    account = system.cloud()
    credentials = BasicCredentials(account["ak"], account["sk"]).with_iam_endpoint(system.url("identity"))
    region = _region(system)
    client = ImsClient.new_builder().with_credentials(credentials).with_region(region).build()
    assert client.list_images(ims.ListImagesRequest(imagetype="gold")).images


def _region(system: System) -> Any:
    from huaweicloudsdkcore.region.region import Region  # noqa: PLC0415

    return Region("eu-de", system.url("image"))


def test_huaweicloudsdkiam_lists_projects_with_a_signature(system: System) -> None:
    account = system.cloud("stillframe-admin")
    domain_id = _domain_id(system)
    credentials = GlobalCredentials(account["ak"], account["sk"], domain_id)
    client = IamClient.new_builder().with_credentials(credentials).with_endpoint(system.url("identity")).build()
    projects = client.keystone_list_projects(KeystoneListProjectsRequest()).projects
    assert "eu-de" in {project.name for project in projects}


def _domain_id(system: System) -> str:
    with system.http("identity") as identity:
        return str(identity.get("/v3/auth/projects").json()["projects"][0]["domain_id"])


def test_boto3_keeps_objects_and_projects_apart(system: System, bucket: str) -> None:
    s3 = system.s3()
    data = b"x" * (9 * 1024 * 1024)
    s3.upload_fileobj(io.BytesIO(data), bucket, "dir/multipart.bin")
    assert s3.get_object(Bucket=bucket, Key="dir/multipart.bin", Range="bytes=1-3")["Body"].read() == b"xxx"
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="dir/")["Contents"]
    assert [(found["Key"], found["Size"]) for found in listed] == [("dir/multipart.bin", len(data))]
    s3.delete_object(Bucket=bucket, Key="dir/multipart.bin")
    assert bucket in {found["Name"] for found in s3.list_buckets()["Buckets"]}
