"""Operations of the IMS reference that are not there yet: each answers 501 and stands in the coverage table."""

from stillframe.api.missing import Missing, missing_routes

not_offered = missing_routes(
    Missing("POST", "/v1/cloudimages/wholeimages/action", "create a full-ECS image"),
)
