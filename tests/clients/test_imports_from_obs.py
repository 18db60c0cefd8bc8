"""Images of files in the object storage, asked for by clients nobody here wrote."""

from collections.abc import Iterator
from typing import Any

import openstack
import pytest
from huaweicloudsdkims import v2 as ims

from tests.clients.otc import OtcConnection
from tests.clients.test_huawei_ims import Caller, client_of
from tests.system import System

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def url(system: System, bucket: str) -> str:
    system.s3().put_object(Bucket=bucket, Key="imports/disk", Body=bytes(range(256)) * 4096)
    return f"{bucket}:imports/disk"


@pytest.fixture
def huawei(system: System) -> Caller:
    account = system.cloud()
    return client_of(system, account["ak"], account["sk"], system.project_id())


@pytest.fixture(scope="module")
def connection(system: System) -> Iterator[Any]:
    config = openstack.config.OpenStackConfig(config_files=[str(system.clouds_yaml)])
    with OtcConnection(config=config.get_one("stillframe")) as opened:
        yield opened


def test_huaweicloudsdkims_imports_a_system_disk(huawei: Caller, url: str) -> None:
    body = ims.CreateImageRequestBody(
        name="of-a-file",
        image_url=url,
        min_disk=1,
        os_version="Debian GNU/Linux 10.0.0 64bit",
        type="ECS",
        is_config=False,
        is_quick_import=False,
        hw_firmware_type="bios",
        tags=["rancher"],
    )
    made = huawei.finish(huawei.create_image(body=body).job_id)
    (image,) = huawei.list_images(id=made.image_id).images
    assert (image.name, image.status, image.platform, image.tags) == ("of-a-file", "active", "Debian", ["rancher"])
    assert image.data_origin == f"file,{url}"
    huawei.glance_delete_image(image_id=image.id, body=ims.GlanceDeleteImageRequestBody(delete_backup=False))


def test_otcextensions_and_openstacksdk_import_wait_look_and_delete(connection: Any, url: str) -> None:
    job = connection.imsv2.create_image(name="of-a-file", image_url=url, min_disk=1, os_version="CentOS 7.3 64bit")
    done = connection.imsv1.wait_for_async_job(job, wait=0.2)
    assert done.job_type == "imsImportImageJob"
    image = connection.image.get_image(done.entities.image_id)
    assert (image.name, image.status, image.disk_format, image.min_disk) == ("of-a-file", "active", "qcow2", 1)
    connection.image.delete_image(image)
    assert list(connection.imsv2.images(id=image.id)) == []
