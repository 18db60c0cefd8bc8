"""Every error Stillframe raises on purpose, as one tree. No HTTP here: each door maps classes to its own statuses.

StillframeError                     something unexpected (500 at every door)
├── InvalidInputError               what the caller sent breaks a rule; `field` names where
├── UnauthenticatedError            nobody, or not who they say
├── ForbiddenError                  known, but not allowed
├── NotFoundError                   not there, or not visible to the caller (never told apart)
├── ConflictError                   there, but in a state that does not permit it
├── LimitExceededError              a quota, a size or a rate
├── UnavailableError                a part we need is down or full; trying later can help
├── ToolFailedError                 a program we ran (qemu-img, QEMU) failed or overran its deadline
├── JobCancelledError               a job ended because somebody asked
└── NotOfferedError                 the contract has it, this deployment does not (yet)

A request and a job fail with the same classes: a job stores `code` and `message`.
"""

from typing import ClassVar


class StillframeError(Exception):
    """Base of the tree.

    `code` is stable and goes into logs, job rows and metrics; `message` may be shown to the caller; `cause` is for the
    log only (stderr of a tool, a driver's text).
    """

    code: ClassVar[str] = "internal_error"
    default_message: ClassVar[str] = "Unknown system error."

    def __init__(self, message: str | None = None, *, cause: object = None) -> None:
        self.message = message or self.default_message
        self.cause = cause
        super().__init__(self.message)


class InvalidInputError(StillframeError):
    code = "invalid_input"
    default_message = "The request is invalid."

    def __init__(self, message: str | None = None, *, field: str | None = None, cause: object = None) -> None:
        super().__init__(message, cause=cause)
        self.field = field


class UrlRefusedError(InvalidInputError):
    code = "url_refused"
    default_message = "The URL is not one that this service may be sent to."


class DownloadFailedError(InvalidInputError):
    code = "download_failed"
    default_message = "The file could not be downloaded."


class UnauthenticatedError(StillframeError):
    code = "unauthenticated"
    default_message = "The request you have made requires authentication."


class ForbiddenError(StillframeError):
    code = "forbidden"
    default_message = "You are not authorized to perform the requested action."


class NotFoundError(StillframeError):
    code = "not_found"
    default_message = "Not found."


class ConflictError(StillframeError):
    code = "conflict"
    default_message = "The request conflicts with the state of the resource."


class LimitExceededError(StillframeError):
    code = "limit_exceeded"
    default_message = "A limit would be exceeded."


class UnavailableError(StillframeError):
    code = "unavailable"
    default_message = "The service is temporarily unavailable."


class ToolFailedError(StillframeError):
    code = "tool_failed"
    default_message = "A tool of the image service failed."


class JobCancelledError(StillframeError):
    code = "job_cancelled"
    default_message = "The job was cancelled."


class NotOfferedError(StillframeError):
    code = "not_offered"
    default_message = "This operation is not implemented in this deployment."


# What callers send when they make, export or look at images.


class RequestBodyEmptyError(InvalidInputError):
    code = "request_body_empty"
    default_message = "The request body is empty."


class RequestFormatError(InvalidInputError):
    code = "request_format_invalid"
    default_message = "The request message format is invalid."


class ImageNameMissingError(InvalidInputError):
    code = "image_name_missing"
    default_message = "The image name is not specified."


class ImageNameTooLongError(InvalidInputError):
    code = "image_name_too_long"
    default_message = "The image name contains more than 128 characters."


class ImageNameInvalidError(InvalidInputError):
    code = "image_name_invalid"
    default_message = "The image name format is invalid."


class ImageNameTakenError(ConflictError):
    code = "image_name_taken"
    default_message = "The image name already exists."


class DescriptionTooLongError(InvalidInputError):
    code = "description_too_long"
    default_message = "The description contains more than 1024 characters."


class DescriptionInvalidError(InvalidInputError):
    code = "description_invalid"
    default_message = "The image description format is invalid."


class ImageTagInvalidError(InvalidInputError):
    code = "image_tag_invalid"
    default_message = "The image tag is invalid."


class TooManyImageTagsError(InvalidInputError):
    code = "too_many_image_tags"
    default_message = "The number of image tags exceeds the quota."


class ServerIdMissingError(InvalidInputError):
    code = "server_id_missing"
    default_message = "The ECS ID is not specified."


class ImageSizesInvalidError(InvalidInputError):
    code = "image_sizes_invalid"
    default_message = "The memory or disk size is invalid."


class OsVersionInvalidError(InvalidInputError):
    code = "os_version_invalid"
    default_message = "Invalid OS version."


class EnterpriseProjectInvalidError(InvalidInputError):
    code = "enterprise_project_invalid"
    default_message = "Failed to check the enterprise project ID validity."


class ImageIdInvalidError(InvalidInputError):
    code = "image_id_invalid"
    default_message = "The image ID is incorrect."


class ImageTypeFilterInvalidError(InvalidInputError):
    code = "image_type_invalid"
    default_message = "The image type in the request is incorrect."


class FlavorFilterInvalidError(InvalidInputError):
    code = "flavor_filter_invalid"
    default_message = "The flavor used to query images is invalid."


class UrlFormatInvalidError(InvalidInputError):
    code = "url_format_invalid"
    default_message = "The URL format is incorrect."


class UrlHasSpaceError(InvalidInputError):
    code = "url_has_space"
    default_message = "The folder name and image file name cannot contain spaces."


class BucketNameEmptyError(InvalidInputError):
    code = "bucket_name_empty"
    default_message = "The specified bucket name is empty."


class BucketNameInvalidError(InvalidInputError):
    code = "bucket_name_invalid"
    default_message = "The bucket name contains invalid characters."


class ExportNameEmptyError(InvalidInputError):
    code = "export_name_empty"
    default_message = "The name of the exported file is empty."


class ExportNameTooLongError(InvalidInputError):
    code = "export_name_too_long"
    default_message = "The file name length exceeds the limit."


class ExportNameInvalidError(InvalidInputError):
    code = "export_name_invalid"
    default_message = "The file name contains invalid characters."


class ExportFormatInvalidError(InvalidInputError):
    code = "export_format_invalid"
    default_message = "The specified image format is not supported."


class JobNotFoundError(NotFoundError):
    code = "job_not_found"
    default_message = "An exception occurred during task query."


class JobNotStoredError(StillframeError):
    code = "job_not_stored"
    default_message = "An error occurred when the job was submitted."


class ProjectMismatchError(ForbiddenError):
    code = "project_mismatch"
    default_message = "The project ID and token in the request are invalid."


# The states and limits that stand against it.


class NotImageOwnerError(ForbiddenError):
    code = "not_image_owner"
    default_message = "This operation can be performed only by the image owner."


class ImageNotActiveError(ConflictError):
    code = "image_not_active"
    default_message = "The image is unavailable."


class ImageJobLimitError(LimitExceededError):
    code = "image_job_limit"
    default_message = "The number of tasks exceeds the flow control limit."


class PublicImageExportError(ForbiddenError):
    code = "public_image_export"
    default_message = "The public image cannot be exported."


class ChargedImageExportError(ForbiddenError):
    code = "charged_image_export"
    default_message = "The system disk image created from a charged image cannot be exported."


class BackupImageExportError(ForbiddenError):
    code = "backup_image_export"
    default_message = "The image created from a CSBS or CBR backup cannot be exported."


class WholeImageExportError(ForbiddenError):
    code = "whole_image_export"
    default_message = "The full-ECS image cannot be exported."


class IsoImageRefusedError(ForbiddenError):
    code = "iso_image_refused"
    default_message = "This operation cannot be performed for ISO images."


class ImageNotExportableError(ConflictError):
    code = "image_not_exportable"
    default_message = "The image cannot be exported."


class ExportTooLargeError(LimitExceededError):
    code = "export_too_large"
    default_message = "Only images less than 128 GB can be exported."


class BucketRefusedError(ForbiddenError):
    code = "bucket_refused"
    default_message = "The specified bucket cannot be accessed."


class BucketRegionError(ForbiddenError):
    code = "bucket_region"
    default_message = "The region of the bucket where the image file is stored is inconsistent with that of the user."


class ObjectExistsError(ConflictError):
    code = "object_exists"
    default_message = (
        "The image file already exists. Confirm the file in the corresponding directory of the OBS "
        "bucket or in the OBS bucket."
    )


class ExportRunningError(ConflictError):
    code = "export_running"
    default_message = "The image is being exported."


class ImageCaptureFailedError(StillframeError):
    code = "image_capture_failed"
    default_message = "An exception occurred when IaaS OpenStack was executing the task."


# Servers, their disks, and what creating one can meet.


class GuestToolsMissingError(StillframeError):
    """What looks into the disks of guests is not installed here; the message names the package."""

    code = "guest_tools_missing"
    default_message = "Disks of guests cannot be prepared on this host."


class GuestDiskUnreadableError(StillframeError):
    code = "guest_disk_unreadable"
    default_message = "The operating system on the disk cannot be read."


class ServerNotFoundError(NotFoundError):
    code = "server_not_found"
    default_message = "The ECS does not exist."


class ServerBusyError(ConflictError):
    code = "server_busy"
    default_message = "The ECS cannot be used to create images because it has in-progress tasks."


class ServerStateError(ConflictError):
    code = "server_state"
    default_message = "The server is in a state that does not permit this."


class ServerLockedError(ConflictError):
    code = "server_locked"
    default_message = "The server is locked."


class GuestAgentMissingError(ConflictError):
    code = "guest_agent_missing"
    default_message = "There is no agent in the guest of the server."


class ServerNotStoppedError(ServerStateError):
    code = "server_not_stopped"
    default_message = "The ECS cannot be used to create images because it is not in stopped state."


class ServerNotCapturableError(ConflictError):
    code = "server_not_capturable"
    default_message = "The VM type does not support image creation."


class ServerHasNoSystemDiskError(ConflictError):
    code = "server_has_no_system_disk"
    default_message = "The VM does not have a system disk."


class SystemDiskRefusedError(ConflictError):
    """Its row says nothing against it, but there is no data, or it is somebody else's."""

    code = "system_disk_refused"
    default_message = "The ECS system disk cannot be used to create an image."


class SystemDiskUnavailableError(ConflictError):
    code = "system_disk_unavailable"
    default_message = "The system disk is unavailable and cannot be used to create images."


class SystemDiskTooLargeError(ConflictError):
    code = "system_disk_too_large"
    default_message = "The size of the system disk exceeds the maximum allowed."


class DisksOfSeveralServersError(ConflictError):
    code = "disks_of_several_servers"
    default_message = "The disks in the request come from different ECSs."


class OtherDisksBusyError(ServerBusyError):
    code = "other_disks_busy"
    default_message = "Other disks on the VM are being used to created VMs."


class WholeCaptureRunningError(ServerBusyError):
    code = "whole_capture_running"
    default_message = "Failed to create a full-ECS image because the ECS is being backed up."


class WholeCaptureStateError(ServerStateError):
    code = "whole_capture_state"
    default_message = "The VM in the current stage cannot be used to create a full-ECS image."


class ServerQuotaExceededError(LimitExceededError):
    code = "server_quota_exceeded"
    default_message = "Quota exceeded for servers."


class VolumeQuotaExceededError(LimitExceededError):
    code = "volume_quota_exceeded"
    default_message = "Quota exceeded for volumes."


class HostMemoryError(LimitExceededError):
    code = "host_memory_exceeded"
    default_message = "The host has no memory left for this server."


class VolumeNotFoundError(NotFoundError):
    code = "volume_not_found"
    default_message = "The volume does not exist."


class VolumeStateError(ConflictError):
    code = "volume_state"
    default_message = "The volume is in a state that does not permit this."


class SnapshotNotFoundError(NotFoundError):
    code = "snapshot_not_found"
    default_message = "The snapshot does not exist."


class SnapshotStateError(ConflictError):
    code = "snapshot_state"
    default_message = "The snapshot is in a state that does not permit this."


class HostDiskError(LimitExceededError):
    code = "host_disk_full"
    default_message = "The host has no disk space left: delete volumes or images that are not needed any more."


class TooManyDisksError(LimitExceededError):
    code = "too_many_disks"
    default_message = "The server has as many disks as it can have."


class DevicePlaceTakenError(ConflictError):
    code = "device_place_taken"
    default_message = "Another disk of the server has that device name."


class NicHeldByGuestError(ConflictError):
    code = "nic_held_by_guest"
    default_message = "The guest does not let go of the network card. Stop the server, or remove the card there first."


class DiskHeldByGuestError(ConflictError):
    code = "disk_held_by_guest"
    default_message = "The guest does not let go of the disk: unmount it there, or stop the server, and detach again."


class FlavorNotFoundError(NotFoundError):
    code = "flavor_not_found"
    default_message = "The flavor does not exist."


class KeypairNotFoundError(NotFoundError):
    code = "keypair_not_found"
    default_message = "The key pair does not exist."


class KeypairExistsError(ConflictError):
    code = "keypair_exists"
    default_message = "A key pair of that name exists already."


class NetworkNotFoundError(NotFoundError):
    code = "network_not_found"
    default_message = "The network does not exist."


class BucketUnreachableError(UnavailableError):
    """The object store is down, or did not keep what it was sent; trying later can help."""

    code = "bucket_unreachable"
    default_message = "The object store cannot be reached."


class ObjectNotFoundError(NotFoundError):
    code = "object_not_found"
    default_message = "The object does not exist in the bucket."
