"""Operations that are not there: each answers 501 and stands in the coverage table.

Source: OpenStack Networking API v2.0 reference.
"""

from stillframe.api.missing import Missing, missing_routes

not_offered = missing_routes(
    Missing("GET", "/v2.0/address-groups", "list address groups"),
    Missing("POST", "/v2.0/address-groups", "create address groups"),
    Missing("GET", "/v2.0/address-scopes", "list address scopes"),
    Missing("POST", "/v2.0/address-scopes", "create address scopes"),
    Missing("GET", "/v2.0/qos/policies", "list QoS policies"),
    Missing("POST", "/v2.0/qos/policies", "create QoS policies"),
    Missing("GET", "/v2.0/rbac-policies", "list the sharing of networks"),
    Missing("POST", "/v2.0/rbac-policies", "share networks"),
    Missing("GET", "/v2.0/subnetpools", "list subnet pools"),
    Missing("POST", "/v2.0/subnetpools", "create subnet pools"),
    Missing("GET", "/v2.0/trunks", "list trunks"),
    Missing("POST", "/v2.0/trunks", "create trunks"),
    Missing("PUT", "/v2.0/quotas/{project_id:str}", "change quotas"),
    Missing("DELETE", "/v2.0/quotas/{project_id:str}", "reset quotas"),
    Missing("PUT", "/v2.0/routers/{router_id:str}/add_extraroutes", "add routes to routers"),
    Missing("PUT", "/v2.0/routers/{router_id:str}/remove_extraroutes", "remove routes from routers"),
)
