"""Operations of the IMS reference that are not there yet: each answers 501 and stands in the coverage table."""

from stillframe.api.missing import Missing, missing_routes

not_offered = missing_routes(
    Missing("POST", "/v1/cloudimages/dataimages/action", "create a data disk image from an OBS file"),
    Missing("POST", "/v2.1/cloudimages/dataimages/action", "create a data disk image from an OBS file"),
    Missing("POST", "/v1/cloudimages/wholeimages/action", "create a full-ECS image"),
    Missing("POST", "/v2/cloudimages/quickimport/action", "import an image file quickly"),
    Missing("POST", "/v2.1/cloudimages/quickimport/action", "import an image file quickly"),
    Missing("PUT", "/v1/cloudimages/{image_id:str}/upload", "register an image file"),
)
