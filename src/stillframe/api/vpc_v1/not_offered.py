"""Operations that are not there: each answers 501 and stands in the coverage table.

Source: Open Telekom Cloud, VPC API reference.
"""

from stillframe.api.missing import Missing, missing_routes

_V1 = "/v1/{project_id:str}"
_V3_VPC = "/v3/{project_id:str}/vpc/vpcs/{vpc_id:str}"

not_offered = missing_routes(
    Missing("PUT", f"{_V3_VPC}/add-extend-cidr", "give a VPC a second CIDR"),
    Missing("PUT", f"{_V3_VPC}/remove-extend-cidr", "take a second CIDR from a VPC"),
    Missing("GET", f"{_V1}/routetables", "list route tables"),
    Missing("POST", f"{_V1}/routetables", "create route tables"),
    Missing("GET", "/v2.0/vpc/peerings", "list VPC peerings"),
    Missing("POST", "/v2.0/vpc/peerings", "create VPC peerings"),
    Missing("GET", "/v2.0/vpc/routes", "list VPC routes"),
    Missing("POST", "/v2.0/vpc/routes", "create VPC routes"),
)
