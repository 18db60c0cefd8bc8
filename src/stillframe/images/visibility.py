"""Who sees an image, and who may change it.

private     its project
shared      its project, and every project it is shared with (whether accepted or not, as long as one knows its id)
community   everybody who knows its id or asks for community images
public      everybody

An administrator of the platform (role `admin`) sees and changes everything; `te_admin` rules its own domain only.
"""

from stillframe.errors import NotImageOwnerError
from stillframe.identity.model import Caller
from stillframe.images.model import Image, Visibility


def is_owner(caller: Caller, image: Image) -> bool:
    return caller.project_id is not None and caller.project_id == image.project_id


def is_visible_without_asking(caller: Caller, image: Image) -> bool:
    """Whether the image's own row decides that the caller sees it; a shared one may still be seen as a member."""
    open_to_all = image.visibility in {Visibility.PUBLIC, Visibility.COMMUNITY}
    return open_to_all or is_owner(caller, image) or caller.is_platform_admin


def require_may_change(caller: Caller, image: Image) -> None:
    """Raises: ForbiddenError for a caller who may only look, NotImageOwnerError."""
    caller.require_writer()
    if not is_owner(caller, image) and not caller.is_platform_admin:
        raise NotImageOwnerError
