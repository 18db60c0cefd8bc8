"""Operations that are not there: each answers 501 and stands in the coverage table.

Source: OpenStack Networking API v2.0 reference; Open Telekom Cloud, VPC API reference.
"""

from stillframe.api.missing import Missing, missing_routes

_FLOATING = "/v2.0/floatingips"
_VPC = "/v1/{project_id:str}"
_VPC_THINGS = [("vpcs", "VPCs"), ("subnets", "VPC subnets"), ("security-groups", "security groups by the VPC API")]

not_offered = missing_routes(
    Missing("POST", _FLOATING, "create floating addresses"),
    Missing("PUT", f"{_FLOATING}/{{floating_ip_id:str}}", "change floating addresses"),
    Missing("DELETE", f"{_FLOATING}/{{floating_ip_id:str}}", "delete floating addresses"),
    *(Missing("GET", f"{_VPC}/{path}", f"list {what}") for path, what in _VPC_THINGS),
    *(Missing("POST", f"{_VPC}/{path}", f"create {what}") for path, what in _VPC_THINGS),
    *(Missing("GET", f"{_VPC}/{path}/{{thing_id:str}}", f"show {what}") for path, what in _VPC_THINGS),
    *(Missing("DELETE", f"{_VPC}/{path}/{{thing_id:str}}", f"delete {what}") for path, what in _VPC_THINGS),
)
