"""What the room refuses of sharing, copying, changing and tagging images as IMS knows them, hung below the same tree.

InvalidInputError
├── ImageListEmptyError, ProjectListEmptyError, ProjectIdInvalidError
├── OperationNotSupportedError, ResourceTypeError, ResourceIdInvalidError
├── ShareWithOneselfError
├── FlavorLookupError
├── ImageNameBlankError, AttributeConflictError, FirmwareInvalidError, ArchitectureInvalidError
├── BackupIdMissingError, BackupServiceMissingError
└── SameKeyError, BareMetalKeyError
NotFoundError
├── ProjectUnknownError, ImageVanishedError, ObjectMissingError
├── BackupNotFoundError             there is no backup service whose backups could be found
├── NotSharedWithCallerError        the caller's project is no member of the image
└── KeyNotFoundError, OriginalKeyNotFoundError
ForbiddenError
├── PublicImageSharingError, WholeImageSharingError, EncryptedImageSharingError
├── ForeignImageError               visible, but neither the caller's nor shared with it
└── WholeImageCopyError, EncryptedShareCopyError
ConflictError
├── MembersNotAddedError, MembersNotRemovedError
└── ShareNotAcceptedError
LimitExceededError
└── MemberLimitError, CopyTooLargeError, CopyLimitError
"""

from stillframe.errors import (
    ConflictError,
    ForbiddenError,
    ImageJobLimitError,
    InvalidInputError,
    LimitExceededError,
    NotFoundError,
)


class ImageListEmptyError(InvalidInputError):
    code = "image_list_empty"
    default_message = "No image was found."


class ProjectListEmptyError(InvalidInputError):
    code = "project_list_empty"
    default_message = "The authorized account is empty."


class ProjectIdInvalidError(InvalidInputError):
    code = "project_id_invalid"
    default_message = "The project ID is incorrect."


class OperationNotSupportedError(InvalidInputError):
    code = "operation_not_supported"
    default_message = "The operation is not supported."


class ResourceTypeError(InvalidInputError):
    code = "resource_type_unknown"
    default_message = "The resource type is unknown."


class ResourceIdInvalidError(InvalidInputError):
    code = "resource_id_invalid"
    default_message = "The resource ID in the request is incorrect."


class ShareWithOneselfError(InvalidInputError):
    code = "share_with_oneself"
    default_message = "You cannot share an image with yourself."


class FlavorLookupError(InvalidInputError):
    """No flavor can have such an id."""

    code = "flavor_lookup_failed"
    default_message = "Failed to query ECS flavors."


class ImageNameBlankError(InvalidInputError):
    code = "image_name_blank"
    default_message = "The image name is incorrect."


class AttributeConflictError(InvalidInputError):
    code = "image_attribute_conflict"
    default_message = "An attribute conflict occurred during the modification."


class FirmwareInvalidError(InvalidInputError):
    code = "firmware_invalid"
    default_message = "The value of hw_firmware_type is not uefi or bios."


class ArchitectureInvalidError(InvalidInputError):
    code = "architecture_invalid"
    default_message = "The value of Architecture must be x86 or Arm."


class SameKeyError(InvalidInputError):
    code = "key_is_the_same"
    default_message = "The specified KMS key ID must be different from the image key ID."


class BareMetalKeyError(InvalidInputError):
    code = "bare_metal_key"
    default_message = "The BMS image does not support KMS encryption."


class BackupIdMissingError(InvalidInputError):
    code = "backup_id_missing"
    default_message = "The backup ID is not specified."


class BackupServiceMissingError(InvalidInputError):
    code = "backup_service_missing"
    default_message = "CBR does not support full-ECS image creation."


class BackupNotFoundError(NotFoundError):
    code = "backup_not_found"
    default_message = "The backup does not exist."


class ProjectUnknownError(NotFoundError):
    code = "project_unknown"
    default_message = "The tenant ID was not found in the current region."


class ImageVanishedError(NotFoundError):
    """It was there when the job was submitted."""

    code = "image_vanished"
    default_message = "The image does not exist."


class ObjectMissingError(NotFoundError):
    code = "object_missing"
    default_message = "The object cannot be found."


class NotSharedWithCallerError(NotFoundError):
    code = "image_not_shared_with_caller"
    default_message = "Failed to query the tenant details."


class KeyNotFoundError(NotFoundError):
    code = "key_not_found"
    default_message = "The KMS key does not exist."


class OriginalKeyNotFoundError(NotFoundError):
    code = "original_key_not_found"
    default_message = "The original key does not exist."


class PublicImageSharingError(ForbiddenError):
    code = "public_image_sharing"
    default_message = "The public image cannot be shared."


class WholeImageSharingError(ForbiddenError):
    code = "whole_image_sharing"
    default_message = "The full-ECS image cannot be shared."


class EncryptedImageSharingError(ForbiddenError):
    code = "encrypted_image_sharing"
    default_message = "The encrypted image cannot be shared."


class ForeignImageError(ForbiddenError):
    code = "image_of_another_project"
    default_message = "The image owner is another tenant."


class WholeImageCopyError(ForbiddenError):
    code = "whole_image_copy"
    default_message = "The full-ECS image cannot be exported or replicated."


class EncryptedShareCopyError(ForbiddenError):
    code = "encrypted_share_copy"
    default_message = "Failed to replicate the shared image because it is encrypted using KMS."


class MembersNotAddedError(ConflictError):
    code = "image_members_not_added"
    default_message = "Failed to add the tenant."


class MembersNotRemovedError(ConflictError):
    code = "image_members_not_removed"
    default_message = "Failed to delete the tenant."


class ShareNotAcceptedError(ConflictError):
    code = "share_not_accepted"
    default_message = "The image cannot be replicated because it is not accepted by the recipient."


class MemberLimitError(LimitExceededError):
    code = "image_member_limit"
    default_message = "The number of shared images has reached the maximum allowed."


class CopyTooLargeError(LimitExceededError):
    code = "copy_too_large"
    default_message = "The size of the image file exceeds the maximum allowed."


class CopyLimitError(ImageJobLimitError):
    code = "copy_limit"
