"""Operations that are not there: each answers 501 and stands in the coverage table.

Source: Open Telekom Cloud, VPC API reference.
"""

from stillframe.api.missing import Missing, missing_routes

_V1 = "/v1/{project_id:str}"
_V3_VPC = "/v3/{project_id:str}/vpc/vpcs/{vpc_id:str}"

_TABLES = f"{_V1}/routetables"
_FLOW_LOGS = f"{_V1}/fl/flow_logs"
_BANDWIDTHS = "/v2.0/{project_id:str}/bandwidths"
_ONE_CIDR = "a VPC has one range; subnets outside it take a second VPC and a peering"
_ONE_TABLE = "a VPC has one table: its routes over peerings and the extra routes of its router hold for every subnet"
_NO_LOG = "the switch counts nothing, and there is no log service to send it to"
_NO_SHAPER = "the bandwidth of an address is told back and not enforced, so there is nothing to share"

not_offered = missing_routes(
    Missing("PUT", f"{_V3_VPC}/add-extend-cidr", "give a VPC a second CIDR", _ONE_CIDR),
    Missing("PUT", f"{_V3_VPC}/remove-extend-cidr", "take a second CIDR from a VPC", _ONE_CIDR),
    Missing("GET", _TABLES, "list route tables", _ONE_TABLE),
    Missing("POST", _TABLES, "create route tables", _ONE_TABLE),
    Missing("GET", f"{_TABLES}/{{table_id:str}}", "show a route table", _ONE_TABLE),
    Missing("PUT", f"{_TABLES}/{{table_id:str}}", "change a route table", _ONE_TABLE),
    Missing("DELETE", f"{_TABLES}/{{table_id:str}}", "delete a route table", _ONE_TABLE),
    Missing("POST", f"{_TABLES}/{{table_id:str}}/action", "give subnets a route table", _ONE_TABLE),
    Missing("GET", _FLOW_LOGS, "list flow logs", _NO_LOG),
    Missing("POST", _FLOW_LOGS, "create flow logs", _NO_LOG),
    Missing("POST", _BANDWIDTHS, "create shared bandwidths", _NO_SHAPER),
    Missing("POST", f"{_BANDWIDTHS}/{{bandwidth_id:str}}/insert", "share a bandwidth", _NO_SHAPER),
    Missing("POST", f"{_BANDWIDTHS}/{{bandwidth_id:str}}/remove", "take an address off a bandwidth", _NO_SHAPER),
)
