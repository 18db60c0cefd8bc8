"""Servers, their disks and cards, flavors and jobs on the wire of ECS: more texts than in Nova, and fewer links.

Source: Open Telekom Cloud, ECS API reference, "Data Structure for Querying Details About ECSs", "Querying Job Execution
Status", "Listing Flavor Details and Extended Information".
"""

from collections.abc import Sequence
from typing import Any

from stillframe.api import enterprise_projects
from stillframe.api.compute_v2 import server_wire as nova
from stillframe.api.compute_v2.microversions import MAX_VERSION
from stillframe.flavors.model import Flavor
from stillframe.jobs.model import Job, JobState
from stillframe.kit.clock import iso_millis_z
from stillframe.servers.attachments import ATTACH_KIND, DETACH_KIND
from stillframe.servers.model import MAX_DISKS, Server, TaskState
from stillframe.servers.nics import MAX_NICS
from stillframe.servers.orders import BatchKind
from stillframe.volumes.model import Volume

Json = dict[str, Any]

_AS_IN_NOVA = (
    *("id", "name", "status", "tenant_id", "user_id", "hostId", "created", "updated", "accessIPv4", "accessIPv6"),
    *("key_name", "locked", "config_drive", "OS-DCF:diskConfig", "OS-EXT-AZ:availability_zone"),
    *("OS-EXT-STS:power_state", "OS-EXT-STS:vm_state", "OS-SRV-USG:launched_at", "OS-SRV-USG:terminated_at"),
    "OS-EXT-SRV-ATTR:hostname",
)

_JOB_TYPES: dict[str, tuple[str, str]] = {
    BatchKind.CREATE: ("createServer", ""),
    BatchKind.DELETE: ("deleteServer", ""),
    BatchKind.START: ("startServer", ""),
    BatchKind.STOP: ("stopServer", ""),
    BatchKind.REBOOT: ("rebootServer", ""),
    BatchKind.ATTACH_NICS: ("addNics", ""),
    BatchKind.DETACH_NICS: ("delNics", ""),
    "server_create": ("createSingleServer", "Ecs.0219"),
    "server_delete": ("deleteSingleServer", "Ecs.0501"),
    "server_start": ("startSingleServer", "Ecs.0226"),
    "server_stop": ("stopSingleServer", "Ecs.0000"),
    "server_reboot": ("rebootSingleServer", "Ecs.0227"),
    "server_rebuild": ("changeOs", "Ecs.0000"),
    "server_resize": ("resizeServer", "Ecs.0207"),
    "nic_attach": ("addNic", "Ecs.0000"),
    "nic_detach": ("delNic", "Ecs.0000"),
    ATTACH_KIND: ("attachVolume", "Ecs.0205"),
    DETACH_KIND: ("detachVolume", "Ecs.0102"),
}
"""What a kind of job is called, and the code of its failure. A batch fails with the code of its first part."""

_STATUS = {
    JobState.QUEUED: "INIT",
    JobState.RUNNING: "RUNNING",
    JobState.CANCELLING: "RUNNING",
    JobState.SUCCEEDED: "SUCCESS",
    JobState.FAILED: "FAIL",
    JobState.CANCELLED: "FAIL",
}


def server_to_wire(server: Server, base: str) -> Json:
    shown = nova.server_to_wire(server, base, MAX_VERSION)
    task = None if server.task_state is TaskState.IMAGE_SNAPSHOT else shown["OS-EXT-STS:task_state"]
    return {name: shown[name] for name in _AS_IN_NOVA} | {
        "description": server.description or "",
        "metadata": _metadata(server),
        "flavor": {
            "id": server.flavor.id,
            "name": server.flavor.name,
            "disk": "0",
            "vcpus": str(server.flavor.vcpus),
            "ram": str(server.flavor.ram_mib),
        },
        "image": {"id": server.image_id},
        "addresses": _addresses(server),
        "security_groups": [
            {"name": name, "id": group_id}
            for group_id, name in dict.fromkeys(group for nic in server.nics for group in nic.security_groups)
        ],
        "tags": list(server.tags),
        "sys_tags": [{"key": "_sys_enterprise_project_id", "value": enterprise_projects.DEFAULT}],
        "enterprise_project_id": enterprise_projects.DEFAULT,
        "progress": shown.get("progress", 0),
        "fault": shown.get("fault"),
        "host_status": "UP",
        "OS-EXT-STS:task_state": task,
        "OS-EXT-SRV-ATTR:host": server.availability_zone,
        "OS-EXT-SRV-ATTR:hypervisor_hostname": server.availability_zone,
        "OS-EXT-SRV-ATTR:instance_name": f"instance-{server.id[:8]}",
        "OS-EXT-SRV-ATTR:reservation_id": reservation_id(server.id),
        "OS-EXT-SRV-ATTR:launch_index": 0,
        "OS-EXT-SRV-ATTR:root_device_name": "/dev/vda",
        "OS-EXT-SRV-ATTR:kernel_id": "",
        "OS-EXT-SRV-ATTR:ramdisk_id": "",
        "OS-EXT-SRV-ATTR:user_data": server.user_data,
        "os:scheduler_hints": {},
        "os-extended-volumes:volumes_attached": [_attached(volume) for volume in server.volumes if volume.attachment],
    }


def reservation_id(server_id: str) -> str:
    return f"r-{server_id[:8]}"


def _metadata(server: Server) -> Json:
    image = (server.volumes[0].image_metadata if server.volumes else None) or {}
    about = {
        "charging_mode": "0",
        "metering.image_id": server.image_id,
        "metering.imagetype": image.get("virtual_env_type", ""),
        "metering.resourcespeccode": f"{server.flavor.id}.{image.get('__os_type', 'linux').lower()}",
        "metering.resourcetype": "1",
        "image_name": image.get("image_name", ""),
        "os_bit": image.get("__os_bit", ""),
        "os_type": image.get("__os_type", ""),
        "vpc_id": _vpc_id(server),
    }
    return server.metadata | about


def _vpc_id(server: Server) -> str:
    return next((nic.router_id for nic in server.nics if nic.router_id), "")


def _addresses(server: Server) -> dict[str, list[Json]]:
    """By VPC; a card on a network of none stands under the network."""
    shown: dict[str, list[Json]] = {}
    for nic in server.nics:
        shown.setdefault(nic.router_id or nic.port.network_id, []).extend(
            {
                "addr": fixed.ip_address,
                "version": "4",
                "OS-EXT-IPS:type": "fixed",
                "OS-EXT-IPS:port_id": nic.port.id,
                "OS-EXT-IPS-MAC:mac_addr": nic.port.mac_address,
            }
            for fixed in nic.port.fixed_ips
        )
    return shown


def _attached(volume: Volume) -> Json:
    attachment = volume.attachment
    return (
        {}
        if attachment is None
        else {
            "id": volume.id,
            "delete_on_termination": str(attachment.delete_on_termination).lower(),
            "bootIndex": str(attachment.device_index),
            "device": attachment.device,
        }
    )


def disks_to_wire(server: Server) -> Json:
    free = MAX_DISKS - len(server.volumes)
    return {
        "attachableQuantity": {"free_scsi": 0, "free_blk": free, "free_disk": free},
        "volumeAttachments": [disk_to_wire(volume) for volume in server.volumes],
    }


def disk_to_wire(volume: Volume) -> Json:
    attachment = volume.attachment
    return (
        {}
        if attachment is None
        else {
            "id": volume.id,
            "volumeId": volume.id,
            "serverId": attachment.server_id,
            "device": attachment.device,
            "size": volume.size_gib,
            "bootIndex": attachment.device_index,
            "bus": "virtio",
            "pciAddress": "",
            "delete_on_termination": attachment.delete_on_termination,
        }
    )


def nics_to_wire(server: Server) -> Json:
    return {
        "attachableQuantity": {"free_nic": MAX_NICS - len(server.nics), "free_efi_nic": 0},
        "interfaceAttachments": [
            {
                "port_id": nic.port.id,
                "net_id": nic.port.network_id,
                "mac_addr": nic.port.mac_address,
                "port_state": "ACTIVE",
                "fixed_ips": [
                    {"ip_address": fixed.ip_address, "subnet_id": fixed.subnet_id} for fixed in nic.port.fixed_ips
                ],
                "delete_on_termination": nic.port.ends_with_server,
                "driver_mode": None,
                "min_rate": None,
                "multiqueue_num": None,
                "pci_address": None,
            }
            for nic in server.nics
        ],
    }


def flavor_to_wire(flavor: Flavor, base: str, project_id: str) -> Json:
    return {
        "id": flavor.id,
        "name": flavor.name,
        "vcpus": str(flavor.vcpus),
        "ram": flavor.ram_mib,
        "disk": "0",
        "swap": "",
        "OS-FLV-EXT-DATA:ephemeral": 0,
        "OS-FLV-DISABLED:disabled": False,
        "os-flavor-access:is_public": flavor.is_public,
        "rxtx_factor": None,
        "rxtx_quota": None,
        "rxtx_cap": None,
        "attachableQuantity": {"free_scsi": 0, "free_blk": MAX_DISKS, "free_disk": MAX_DISKS, "free_nic": MAX_NICS},
        "os_extra_specs": flavor.extra_specs,
        "links": nova.links(base, project_id, f"flavors/{flavor.id}"),
    }


def job_to_wire(job: Job, parts: Sequence[Job]) -> Json:
    """A batch is as far as its parts are. Its entities and theirs are texts, but for the parts themselves."""
    if "job_ids" not in job.args:
        return _single_job_to_wire(job)
    ended = all(part.finished_at for part in parts)
    failed = next((part for part in parts if _STATUS[part.state] == "FAIL"), None)
    ends = [part.finished_at for part in parts if part.finished_at]
    status = ("FAIL" if failed else "SUCCESS") if ended else "RUNNING"
    if parts and all(part.state is JobState.QUEUED for part in parts):
        status = "INIT"
    return _job_to_wire(job, status, max(ends) if ended and ends else None, failed if ended else None) | {
        "entities": {"sub_jobs_total": len(parts), "sub_jobs": [_single_job_to_wire(part) for part in parts]}
    }


def _single_job_to_wire(job: Job) -> Json:
    failed = job if _STATUS[job.state] == "FAIL" else None
    subjects = {name: job.args[name] for name in ("server_id", "volume_id") if name in job.args}
    entities: Json = subjects | job.result
    if failed:
        entities["errorcode_message"] = job.error_message or ""
    return _job_to_wire(job, _STATUS[job.state], job.finished_at, failed) | {
        "entities": {name: value for name, value in entities.items() if isinstance(value, str)}
    }


def _job_to_wire(job: Job, status: str, ended_at: Any, failed: Job | None) -> Json:
    return {
        "status": status,
        "job_id": job.id,
        "job_type": _JOB_TYPES.get(job.kind, (job.kind, ""))[0],
        "begin_time": iso_millis_z(job.created_at),
        "end_time": iso_millis_z(ended_at) if ended_at else "",
        "error_code": _JOB_TYPES.get(failed.kind, ("", "Ecs.0000"))[1] if failed else None,
        "fail_reason": (failed.error_message or "The task was cancelled.") if failed else None,
    }
