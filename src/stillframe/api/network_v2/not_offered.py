"""Operations that are not there: each answers 501 and stands in the coverage table.

Source: OpenStack Networking API v2.0 reference.
"""

from stillframe.api.missing import Missing, missing_routes

_FLOATING = "/v2.0/floatingips"

not_offered = missing_routes(
    Missing("POST", _FLOATING, "create floating addresses"),
    Missing("PUT", f"{_FLOATING}/{{floating_ip_id:str}}", "change floating addresses"),
    Missing("DELETE", f"{_FLOATING}/{{floating_ip_id:str}}", "delete floating addresses"),
)
