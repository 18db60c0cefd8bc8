"""Operations that are not there yet: each answers 501 and stands in the coverage table.

Source: OpenStack Compute API reference.
"""

from stillframe.api.missing import Missing, missing_routes

_SERVER = "/servers/{server_id:str}"

not_offered = missing_routes(
    Missing("POST", f"{_SERVER}/remote-consoles", "open remote consoles"),
)
