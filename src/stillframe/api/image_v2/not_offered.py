"""Operations of Glance v2 that are not there yet: each answers 501 and stands in the coverage table."""

from stillframe.api.missing import Missing, missing_routes

_NAMESPACE = "/v2/metadefs/namespaces/{namespace:str}"

not_offered = missing_routes(
    Missing("GET", "/v2/schemas/metadefs/{name:str}", "show a metadata definition schema"),
    Missing("POST", "/v2/metadefs/namespaces", "create a metadata definition namespace"),
    Missing("GET", _NAMESPACE, "show a metadata definition namespace"),
    Missing("PUT", _NAMESPACE, "update a metadata definition namespace"),
    Missing("DELETE", _NAMESPACE, "delete a metadata definition namespace"),
    Missing("GET", f"{_NAMESPACE}/objects", "list metadata definition objects"),
    Missing("POST", f"{_NAMESPACE}/objects", "create a metadata definition object"),
    Missing("GET", f"{_NAMESPACE}/properties", "list metadata definition properties"),
    Missing("POST", f"{_NAMESPACE}/properties", "create a metadata definition property"),
    Missing("GET", f"{_NAMESPACE}/tags", "list metadata definition tags"),
    Missing("POST", f"{_NAMESPACE}/tags", "create metadata definition tags"),
    Missing("GET", f"{_NAMESPACE}/resource_types", "list resource types of a metadata definition namespace"),
    Missing("POST", f"{_NAMESPACE}/resource_types", "associate a resource type with a namespace"),
)
