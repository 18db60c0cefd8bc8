"""Operations of Glance v2 that are not there yet: each answers 501 and stands in the coverage table."""

from stillframe.api.missing import Missing, missing_routes

_NAMESPACE = "/v2/metadefs/namespaces/{namespace:str}"

not_offered = missing_routes(
    Missing("PUT", "/v2/images/{image_id:str}/stage", "stage image data for an import"),
    Missing("POST", "/v2/images/{image_id:str}/import", "import image data"),
    Missing("POST", "/v2/images/{image_id:str}/locations", "add a location to an image"),
    Missing("GET", "/v2/images/{image_id:str}/locations", "list the locations of an image"),
    Missing("DELETE", "/v2/stores/{store_id:str}/{image_id:str}", "delete image data from one store"),
    Missing("POST", "/v2/tasks", "create a task"),
    Missing("GET", "/v2/tasks/{task_id:str}", "show a task"),
    Missing("GET", "/v2/cache", "list cached images"),
    Missing("DELETE", "/v2/cache", "clear the cache"),
    Missing("PUT", "/v2/cache/{image_id:str}", "queue an image for caching"),
    Missing("DELETE", "/v2/cache/{image_id:str}", "delete an image from the cache"),
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
    Missing("GET", "/v1.1/images/detail", "list images as Glance v1 does"),
    Missing("HEAD", "/v1/images/{image_id:str}", "show an image as Glance v1 does"),
    Missing("DELETE", "/v1.1/images/{image_id:str}", "delete an image as Glance v1 does"),
)
