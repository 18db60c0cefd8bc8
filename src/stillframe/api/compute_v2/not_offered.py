"""Operations that are not there yet: each answers 501 and stands in the coverage table.

Source: OpenStack Compute API reference; Open Telekom Cloud, ECS API reference.
"""

from stillframe.api.missing import Missing, missing_routes

_SERVER = "/servers/{server_id:str}"
_CLOUDSERVERS = "/v1/{project_id:str}/cloudservers"
_CLOUDSERVER = f"{_CLOUDSERVERS}/{{server_id:str}}"

not_offered = missing_routes(
    Missing("POST", f"{_SERVER}/remote-consoles", "open remote consoles"),
)

ecs_not_offered = missing_routes(
    Missing("POST", _CLOUDSERVERS, "create servers by the ECS API"),
    Missing("GET", _CLOUDSERVER, "show a server by the ECS API"),
    Missing("PUT", _CLOUDSERVER, "change a server by the ECS API"),
    Missing("GET", f"{_CLOUDSERVERS}/detail", "list servers by the ECS API"),
    Missing("GET", f"{_CLOUDSERVERS}/flavors", "list flavors by the ECS API"),
    Missing("POST", f"{_CLOUDSERVERS}/delete", "delete servers by the ECS API"),
    Missing("POST", f"{_CLOUDSERVERS}/action", "start, stop and reboot servers by the ECS API"),
    Missing("POST", f"{_CLOUDSERVER}/attachvolume", "attach volumes by the ECS API"),
    Missing("DELETE", f"{_CLOUDSERVER}/detachvolume/{{volume_id:str}}", "detach volumes by the ECS API"),
    Missing("GET", f"{_CLOUDSERVER}/block_device", "list the disks of a server by the ECS API"),
    Missing("GET", f"{_CLOUDSERVER}/block_device/{{volume_id:str}}", "show a disk of a server by the ECS API"),
    Missing("GET", f"{_CLOUDSERVER}/autorecovery", "show the automatic recovery of a server"),
    Missing("GET", f"{_CLOUDSERVER}/tags", "list the tags of a server by the ECS API"),
    Missing("POST", f"{_CLOUDSERVER}/tags", "add tags to a server by the ECS API"),
    Missing("PUT", f"{_CLOUDSERVER}/tags", "replace the tags of a server by the ECS API"),
    Missing("POST", f"{_CLOUDSERVER}/tags/action", "add and remove tags of a server by the ECS API"),
    Missing("GET", f"{_CLOUDSERVER}/nics", "list the network cards of a server by the ECS API"),
    Missing("POST", f"{_CLOUDSERVER}/changeos", "change the system of a server"),
    Missing("GET", "/v1/{project_id:str}/jobs/{job_id:str}", "show jobs of the ECS API"),
)
