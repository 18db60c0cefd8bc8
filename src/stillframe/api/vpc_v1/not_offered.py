"""Operations that are not there: each answers 501 and stands in the coverage table.

Source: Open Telekom Cloud, VPC API reference.
"""

from stillframe.api.missing import Missing, missing_routes

_V1 = "/v1/{project_id:str}"
_V3_VPC = "/v3/{project_id:str}/vpc/vpcs/{vpc_id:str}"

_ONE_CIDR = "a VPC has one range; subnets outside it take a second VPC and a peering"
_ONE_TABLE = "a VPC has one table: its routes over peerings and the extra routes of its router hold for every subnet"

not_offered = missing_routes(
    Missing("PUT", f"{_V3_VPC}/add-extend-cidr", "give a VPC a second CIDR", _ONE_CIDR),
    Missing("PUT", f"{_V3_VPC}/remove-extend-cidr", "take a second CIDR from a VPC", _ONE_CIDR),
    Missing("GET", f"{_V1}/routetables", "list route tables", _ONE_TABLE),
    Missing("POST", f"{_V1}/routetables", "create route tables", _ONE_TABLE),
)
