"""Operations that are not there: each answers 501 and stands in the coverage table.

Source: Open Telekom Cloud, VPC API reference.
"""

from stillframe.api.missing import Missing, missing_routes

_V1 = "/v1/{project_id:str}"
_V3_VPC = "/v3/{project_id:str}/vpc/vpcs/{vpc_id:str}"

_TABLES = f"{_V1}/routetables"
_FLOW_LOGS = f"{_V1}/fl/flow_logs"
_RULES = f"{_V1}/security-group-rules"
_PRIVATE_IPS = f"{_V1}/privateips"
_BANDWIDTHS = "/v2.0/{project_id:str}/bandwidths"
_ONE_CIDR = "a VPC has one range; subnets outside it take a second VPC and a peering"
_ONE_TABLE = "a VPC has one table: its routes over peerings and the extra routes of its router hold for every subnet"
_NO_LOG = "the switch counts nothing, and there is no log service to send it to"
_NEUTRON_RULES = "/v2.0/security-group-rules does"
_NEUTRON_PORTS = "an address is taken by a port: /v2.0/ports"
_TAGS_OF_ONE = "tags are asked for thing by thing"
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
    Missing("GET", f"{_FLOW_LOGS}/{{log_id:str}}", "show a flow log", _NO_LOG),
    Missing("PUT", f"{_FLOW_LOGS}/{{log_id:str}}", "change a flow log", _NO_LOG),
    Missing("DELETE", f"{_FLOW_LOGS}/{{log_id:str}}", "delete a flow log", _NO_LOG),
    Missing("GET", _RULES, "list security group rules here", _NEUTRON_RULES),
    Missing("POST", _RULES, "create security group rules here", _NEUTRON_RULES),
    Missing("GET", f"{_RULES}/{{rule_id:str}}", "show a security group rule here", _NEUTRON_RULES),
    Missing("DELETE", f"{_RULES}/{{rule_id:str}}", "delete a security group rule here", _NEUTRON_RULES),
    Missing("POST", _PRIVATE_IPS, "reserve private addresses", _NEUTRON_PORTS),
    Missing("GET", f"{_PRIVATE_IPS}/{{address_id:str}}", "show a private address", _NEUTRON_PORTS),
    Missing("DELETE", f"{_PRIVATE_IPS}/{{address_id:str}}", "release a private address", _NEUTRON_PORTS),
    Missing("GET", f"{_V1}/subnets/{{subnet_id:str}}/privateips", "list private addresses", _NEUTRON_PORTS),
    Missing("GET", "/v2.0/{project_id:str}/vpcs/tags", "list the tags of all VPCs", _TAGS_OF_ONE),
    Missing("POST", "/v2.0/{project_id:str}/vpcs/resource_instances/action", "find VPCs by tags", _TAGS_OF_ONE),
    Missing("GET", "/v2.0/{project_id:str}/subnets/tags", "list the tags of all subnets", _TAGS_OF_ONE),
    Missing("POST", "/v2.0/{project_id:str}/subnets/resource_instances/action", "find subnets by tags", _TAGS_OF_ONE),
    Missing("GET", "/v2.0/{project_id:str}/publicips/tags", "list the tags of all addresses", _TAGS_OF_ONE),
    Missing(
        "POST", "/v2.0/{project_id:str}/publicips/resource_instances/action", "find addresses by tags", _TAGS_OF_ONE
    ),
    Missing("DELETE", f"{_BANDWIDTHS}/{{bandwidth_id:str}}", "delete a shared bandwidth", _NO_SHAPER),
    Missing("POST", _BANDWIDTHS, "create shared bandwidths", _NO_SHAPER),
    Missing("POST", f"{_BANDWIDTHS}/{{bandwidth_id:str}}/insert", "share a bandwidth", _NO_SHAPER),
    Missing("POST", f"{_BANDWIDTHS}/{{bandwidth_id:str}}/remove", "take an address off a bandwidth", _NO_SHAPER),
)
