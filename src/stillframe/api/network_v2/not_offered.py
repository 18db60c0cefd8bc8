"""Operations that are not there: each answers 501 and stands in the coverage table.

Source: OpenStack Networking API v2.0 reference; Open Telekom Cloud, VPC API reference.
"""

from stillframe.api.missing import Missing, missing_routes

_CHANGES = [
    ("/v2.0/networks", "network_id", "networks"),
    ("/v2.0/subnets", "subnet_id", "subnets"),
    ("/v2.0/ports", "port_id", "ports"),
    ("/v2.0/security-groups", "group_id", "security groups"),
    ("/v2.0/security-group-rules", "rule_id", "security group rules"),
    ("/v2.0/floatingips", "address_id", "floating addresses"),
    ("/v2.0/routers", "router_id", "routers"),
]
_VPC = "/v1/{project_id:str}"
_VPC_THINGS = [("vpcs", "VPCs"), ("subnets", "VPC subnets"), ("security-groups", "security groups by the VPC API")]

not_offered = missing_routes(
    *(Missing("POST", path, f"create {what}") for path, _, what in _CHANGES),
    *(Missing("PUT", f"{path}/{{{name}:str}}", f"change {what}") for path, name, what in _CHANGES),
    *(Missing("DELETE", f"{path}/{{{name}:str}}", f"delete {what}") for path, name, what in _CHANGES),
    *(Missing("GET", f"{_VPC}/{path}", f"list {what}") for path, what in _VPC_THINGS),
    *(Missing("POST", f"{_VPC}/{path}", f"create {what}") for path, what in _VPC_THINGS),
    *(Missing("GET", f"{_VPC}/{path}/{{thing_id:str}}", f"show {what}") for path, what in _VPC_THINGS),
    *(Missing("DELETE", f"{_VPC}/{path}/{{thing_id:str}}", f"delete {what}") for path, what in _VPC_THINGS),
)
