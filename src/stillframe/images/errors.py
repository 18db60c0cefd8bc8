"""What this room refuses beside the refusals named in `stillframe.errors`, hung below the same tree.

NotFoundError
├── ImageNotFoundError
└── MemberNotFoundError, TagNotFoundError
ForbiddenError
├── ImageProtectedError, PublicImageDeletionError
├── NotImageOwnerError (of stillframe.errors)
│   └── ForeignImageDeletionError
├── PublishingForbiddenError, OwnerChangeForbiddenError, FormatChangeForbiddenError
├── SharingForbiddenError, MemberAnswerForbiddenError, ReservedNameError
└── ImageDeactivatedError, ActivationForbiddenError
ConflictError
├── ImageIdTakenError, MemberExistsError
├── ImageBusyError                  an unfinished job of the image stands against it
├── UploadConflictError             the image has its data, or is getting it from somebody else
├── ImportConflictError             the image is not in the state that this kind of import starts from
├── StoreNotFoundError
├── ImageGoneError                  deleted while its data came in
└── ImageNotBootableError
LimitExceededError
├── ImageQuotaExceededError, TooManyError
└── UploadTooLargeError
UnavailableError
└── ImageNotFlattenedError          its stored bytes are still being made; `retry_after_s`
InvalidInputError
└── UploadSizeMismatchError, UploadIncompleteError
"""

from stillframe.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    LimitExceededError,
    NotFoundError,
    NotImageOwnerError,
    UnavailableError,
)


class ImageNotFoundError(NotFoundError):
    code = "image_not_found"
    default_message = "The image does not exist."

    @classmethod
    def of(cls, image_id: str) -> "ImageNotFoundError":
        return cls(f"No image found with ID {image_id[:255]}")


class MemberNotFoundError(NotFoundError):
    code = "image_member_not_found"
    default_message = "The image is not shared with that project."


class TagNotFoundError(NotFoundError):
    code = "image_tag_not_found"
    default_message = "The image does not have that tag."


class ImageProtectedError(ForbiddenError):
    code = "image_protected"
    default_message = "The image in the request is protected."


class PublicImageDeletionError(ForbiddenError):
    code = "public_image_deletion"
    default_message = "The public image cannot be deleted."


class ForeignImageDeletionError(NotImageOwnerError):
    code = "foreign_image_deletion"
    default_message = "The image can only be deleted by the owner."


class PublishingForbiddenError(ForbiddenError):
    code = "image_publishing_forbidden"
    default_message = "Only an administrator of the platform may make an image public."


class OwnerChangeForbiddenError(ForbiddenError):
    code = "image_owner_change_forbidden"
    default_message = "Only an administrator of the platform may change the owner of an image."


class FormatChangeForbiddenError(ForbiddenError):
    code = "image_format_change_forbidden"
    default_message = "The format of an image with data cannot be replaced."


class SharingForbiddenError(ForbiddenError):
    code = "image_sharing_forbidden"
    default_message = "Only shared or private images have members."


class MemberAnswerForbiddenError(ForbiddenError):
    code = "image_member_answer_forbidden"
    default_message = "Only the project an image is shared with may accept or reject it."


class ReservedNameError(ForbiddenError):
    code = "image_attribute_reserved"
    default_message = "The attribute is reserved."


class ImageDeactivatedError(ForbiddenError):
    code = "image_deactivated"
    default_message = "The requested image has been deactivated. Image data download is forbidden."


class ActivationForbiddenError(ForbiddenError):
    code = "image_activation_forbidden"
    default_message = "Only active and deactivated images can be activated and deactivated."


class ImageIdTakenError(ConflictError):
    code = "image_id_taken"
    default_message = "An image with that ID exists already."


class MemberExistsError(ConflictError):
    code = "image_member_exists"
    default_message = "The image is shared with that project already."


class ImageBusyError(ConflictError):
    code = "image_busy"
    default_message = "The image being created cannot be deleted."


class UploadConflictError(ConflictError):
    code = "image_upload_conflict"
    default_message = "The image is not waiting for data."


class ImportConflictError(ConflictError):
    code = "image_import_conflict"
    default_message = "The image cannot be imported in its present state."


class StoreNotFoundError(ConflictError):
    code = "image_store_not_found"
    default_message = "There is no such store."


class ImageGoneError(ConflictError):
    code = "image_gone"
    default_message = "The image was deleted while its data was uploaded."


class ImageNotBootableError(ConflictError):
    code = "image_not_bootable"
    default_message = "No server can be started from the image."


class ImageQuotaExceededError(LimitExceededError):
    code = "image_quota_exceeded"
    default_message = "The number of private images has reached the maximum allowed."


class TooManyError(LimitExceededError):
    code = "image_too_many_parts"
    default_message = "The image would have too many tags, properties or members."


class UploadTooLargeError(LimitExceededError):
    code = "image_upload_too_large"
    default_message = "The data is larger than an image may be."


class ImageNotFlattenedError(UnavailableError):
    code = "image_not_flattened"
    default_message = "The image was captured a moment ago and its file is still being written; ask again shortly."
    retry_after_s = 5


class UploadSizeMismatchError(InvalidInputError):
    code = "image_upload_size_mismatch"
    default_message = "The data is not as long as announced."


class UploadIncompleteError(InvalidInputError):
    code = "image_upload_incomplete"
    default_message = "The client went away before all data had arrived."
