"""huaweicloudsdkecs' EcsClient, unmodified, through the life of two real servers."""

import time
from typing import Any

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkecs import v2 as ecs
from huaweicloudsdkecs.v2 import EcsClient

from tests.system import System

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


class Caller:
    """The client, without a request object for every call."""

    def __init__(self, client: EcsClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        def call(**fields: Any) -> Any:
            request = getattr(ecs, "".join(part.capitalize() for part in name.split("_")) + "Request")(**fields)
            return getattr(self._client, name)(request)

        return call

    def refusal(self, name: str, **fields: Any) -> tuple[int, str]:
        with pytest.raises(ClientRequestException) as refused:
            getattr(self, name)(**fields)
        return refused.value.status_code, refused.value.error_code

    def finish(self, answer: Any) -> Any:
        """The job of an answer, once it has ended well."""
        deadline = time.monotonic() + 240
        while (job := self.show_job(job_id=answer.job_id)).status in ("INIT", "RUNNING"):
            assert time.monotonic() < deadline, job
            time.sleep(0.1)
        assert job.status == "SUCCESS", job
        return job


@pytest.fixture(scope="module")
def client(system: System) -> Caller:
    account = system.cloud()
    credentials = BasicCredentials(account["ak"], account["sk"], system.project_id())
    return Caller(EcsClient.new_builder().with_credentials(credentials).with_endpoint(system.url("compute")).build())


def wanted(system: System, **changes: Any) -> ecs.PostPaidServer:
    with system.http("network") as network:
        path = f"/v1/{system.project_id()}/subnets"
        subnet = next(one for one in network.get(path).json()["subnets"] if one["name"] == "default")
    return ecs.PostPaidServer(
        name="of-huawei",
        image_ref=system.public_image(),
        flavor_ref="s3.tiny",
        vpcid=subnet["vpc_id"],
        nics=[ecs.PostPaidServerNic(subnet_id=subnet["id"])],
        root_volume=ecs.PostPaidServerRootVolume(volumetype="SSD"),
        data_volumes=[ecs.PostPaidServerDataVolume(volumetype="SAS", size=1)],
        server_tags=[ecs.PostPaidServerTag(key="team", value="red")],
        **changes,
    )


def test_two_servers_from_their_order_to_their_end(system: System, client: Caller) -> None:
    order = ecs.CreatePostPaidServersRequestBody(server=wanted(system, count=2), dry_run=True)
    client.create_post_paid_servers(body=order)
    order.dry_run = False
    ordered = client.create_post_paid_servers(body=order)
    job = client.finish(ordered)
    assert job.job_type == "createServer"
    assert {part.entities.server_id for part in job.entities.sub_jobs} == set(ordered.server_ids)
    refs = [ecs.ServerId(id=server_id) for server_id in ordered.server_ids]
    listed = client.list_servers_details(name="of-huawei-0", status="ACTIVE", tags="team=red")
    assert (listed.count, {server.name for server in listed.servers}) == (2, {"of-huawei-0001", "of-huawei-0002"})
    try:
        _look_at(client, ordered.server_ids[0])
        _change(client, ordered.server_ids[0])
        stop = ecs.BatchStopServersOption(servers=refs, type="HARD")
        client.finish(client.batch_stop_servers(body=ecs.BatchStopServersRequestBody(os_stop=stop)))
        _rebuild(client, ordered.server_ids[0])
        start = ecs.BatchStartServersOption(servers=refs[:1])
        client.finish(client.batch_start_servers(body=ecs.BatchStartServersRequestBody(os_start=start)))
        reboot = ecs.BatchRebootSeversOption(servers=refs[:1], type="HARD")
        client.finish(client.batch_reboot_servers(body=ecs.BatchRebootServersRequestBody(reboot=reboot)))
    finally:
        gone = ecs.DeleteServersRequestBody(servers=refs, delete_volume=True, delete_publicip=True)
        assert client.finish(client.delete_servers(body=gone)).job_type == "deleteServer"
    assert client.refusal("show_server", server_id=refs[0].id) == (404, "Ecs.0114")
    with system.http("volume") as volume:
        left = volume.get(f"/v3/{system.project_id()}/volumes/detail").json()["volumes"]
    assert not [one for one in left if one["size"] == 1 and one["volume_type"] == "SAS" and not one["name"]]


def _look_at(client: Caller, server_id: str) -> None:
    server = client.show_server(server_id=server_id).server
    assert (server.flavor.ram, server.metadata["charging_mode"]) == ("256", "0")
    disks = client.list_server_block_devices(server_id=server_id)
    assert [disk.boot_index for disk in disks.volume_attachments] == [0, 1]
    data_disk = disks.volume_attachments[1].volume_id
    assert client.show_server_block_device(server_id=server_id, volume_id=data_disk).volume_attachment.size == 1
    attached = client.list_server_volume_attachments(server_id=server_id).volume_attachments
    assert [one.device for one in attached] == ["/dev/vda", "/dev/vdb"]
    (card,) = client.list_server_interfaces(server_id=server_id).interface_attachments
    assert card.fixed_ips[0].ip_address
    assert client.show_server_attachable_nic_num(server_id=server_id).attachable_quantity.free_nic == 11
    assert {flavor.id for flavor in client.list_flavors().flavors} >= {"s3.tiny", "s3.large.2"}
    assert "s3.tiny" not in {flavor.id for flavor in client.list_resize_flavors(instance_uuid=server_id).flavors}
    assert client.show_server_limits().absolute.total_instances_used >= 2
    assert client.show_server_password(server_id=server_id).password == ""


def _change(client: Caller, server_id: str) -> None:
    tags = [ecs.BatchAddServerTag(key="env", value="test")]
    client.batch_create_server_tags(
        server_id=server_id, body=ecs.BatchCreateServerTagsRequestBody(action="create", tags=tags)
    )
    shown = {tag.key: tag.value for tag in client.show_server_tags(server_id=server_id).tags}
    assert shown == {"team": "red", "env": "test"}
    search = ecs.ListServersByTagRequestBody(action="filter", tags=[ecs.ServerTags(key="env", values=["test"])])
    assert [found.resource_id for found in client.list_servers_by_tag(body=search).resources] == [server_id]
    client.batch_delete_server_tags(
        server_id=server_id, body=ecs.BatchDeleteServerTagsRequestBody(action="delete", tags=tags)
    )
    assert "env" not in {tag.key for tag in client.list_server_tags().tags}
    renamed = ecs.UpdateServerRequestBody(server=ecs.UpdateServerOption(name="renamed"))
    assert client.update_server(server_id=server_id, body=renamed).server.name == "renamed"
    together = ecs.BatchUpdateServersNameRequestBody(name="together", servers=[ecs.ServerId(id=server_id)])
    assert [one.id for one in client.batch_update_servers_name(body=together).response] == [server_id]
    metadata = ecs.UpdateServerMetadataRequestBody(metadata={"k": "v"})
    assert client.update_server_metadata(server_id=server_id, body=metadata).metadata == {"k": "v"}
    client.delete_server_metadata(server_id=server_id, key="k")
    disk_id = client.list_server_block_devices(server_id=server_id).volume_attachments[1].volume_id
    stays = ecs.UpdateServerBlockDeviceReq(block_device=ecs.UpdateServerBlockDeviceOption(delete_on_termination=True))
    client.update_server_block_device(server_id=server_id, volume_id=disk_id, body=stays)


def _rebuild(client: Caller, server_id: str) -> None:
    """What a stopped server is asked for: its data disk out and in, a larger flavor, its system anew."""
    disk_id = client.list_server_block_devices(server_id=server_id).volume_attachments[1].volume_id
    client.finish(client.detach_server_volume(server_id=server_id, volume_id=disk_id))
    attach = ecs.AttachServerVolumeOption(volume_id=disk_id, device="/dev/sdc")
    body = ecs.AttachServerVolumeRequestBody(volume_attachment=attach)
    client.finish(client.attach_server_volume(server_id=server_id, body=body))
    larger = ecs.ResizePostPaidServerRequestBody(resize=ecs.ResizePostPaidServerOption(flavor_ref="s3.small.1"))
    client.finish(client.resize_post_paid_server(server_id=server_id, body=larger))
    again = ecs.ReinstallServerWithCloudInitRequestBody(os_reinstall=ecs.ReinstallServerWithCloudInitOption(userid="x"))
    client.finish(client.reinstall_server_with_cloud_init(server_id=server_id, body=again))
    server = client.show_server(server_id=server_id).server
    assert (server.status, server.flavor.id) == ("SHUTOFF", "s3.small.1")


def test_refusals_arrive_with_their_codes(system: System, client: Caller) -> None:
    order = ecs.CreatePostPaidServersRequestBody(server=wanted(system))
    order.server.flavor_ref = "none"
    assert client.refusal("create_post_paid_servers", body=order) == (400, "Ecs.0029")
    assert client.refusal("show_job", job_id="x") == (400, "Common.0011")
    refs = ecs.DeleteServersRequestBody(servers=[ecs.ServerId(id="x")])
    assert client.refusal("delete_servers", body=refs) == (404, "Ecs.0114")
