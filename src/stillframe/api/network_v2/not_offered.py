"""Operations that are not there: each answers 501 and stands in the coverage table.

Source: OpenStack Networking API v2.0 reference.
"""

from stillframe.api.missing import Missing, missing_routes

_NO_POOLS = "subnets are given their ranges by who makes them; there are no pools to draw from"
_NO_SHAPER = "the switch does not shape traffic, so a limit would be told back and not hold"
_NO_SHARING = "a network's addresses and quotas are counted under the project that owns it"
_NO_TAGS = "no frame with a VLAN tag passes the switch"

not_offered = missing_routes(
    Missing("GET", "/v2.0/address-scopes", "list address scopes", _NO_POOLS),
    Missing("POST", "/v2.0/address-scopes", "create address scopes", _NO_POOLS),
    Missing("GET", "/v2.0/qos/policies", "list QoS policies", _NO_SHAPER),
    Missing("POST", "/v2.0/qos/policies", "create QoS policies", _NO_SHAPER),
    Missing("GET", "/v2.0/rbac-policies", "list the sharing of networks", _NO_SHARING),
    Missing("POST", "/v2.0/rbac-policies", "share networks", _NO_SHARING),
    Missing("GET", "/v2.0/subnetpools", "list subnet pools", _NO_POOLS),
    Missing("POST", "/v2.0/subnetpools", "create subnet pools", _NO_POOLS),
    Missing("GET", "/v2.0/trunks", "list trunks", _NO_TAGS),
    Missing("POST", "/v2.0/trunks", "create trunks", _NO_TAGS),
)
