"""What the room refuses of files to import, hung below the tree of stillframe.errors.

InvalidInputError
├── ImageFileInvalidError           not there, empty, of no known format, damaged; `message` says which
│   ├── ImageFileChecksumError
│   └── RegistrationFailedError     the same, of a file for an image that was described before
├── DiskLargerThanImageError        the disk in the file does not fit the image's min_disk
└── OsInfoMissingError, OsTypeInvalidError, ImageTypeInvalidError, ImageSourceInvalidError, DuplicateFileError
LimitExceededError
└── ImageFileTooLargeError, TooManyFilesError
"""

from stillframe.errors import ImageSizesInvalidError, InvalidInputError, LimitExceededError


class ImageFileInvalidError(InvalidInputError):
    code = "image_file_invalid"
    default_message = (
        "The image file is empty, not found, or in incorrect format, or you do not have enough permission to access "
        "the file."
    )


class ImageFileChecksumError(ImageFileInvalidError):
    code = "image_file_checksum"


class RegistrationFailedError(ImageFileInvalidError):
    code = "image_registration_failed"
    default_message = "Failed to register the image file."


class DiskLargerThanImageError(ImageSizesInvalidError):
    code = "disk_larger_than_image"


class OsInfoMissingError(InvalidInputError):
    code = "os_info_missing"
    default_message = "OS information must be contained in the ISO files used to create images."


class OsTypeInvalidError(InvalidInputError):
    code = "os_type_invalid"
    default_message = "The OS type is invalid."


class ImageTypeInvalidError(InvalidInputError):
    code = "import_type_invalid"
    default_message = "The image type in the request is incorrect."


class ImageSourceInvalidError(InvalidInputError):
    code = "image_source_invalid"
    default_message = "The image source can only be BMS or ECS."


class DuplicateFileError(InvalidInputError):
    code = "duplicate_image_file"
    default_message = "The image file address in the request is duplicate."


class ImageFileTooLargeError(LimitExceededError):
    code = "image_file_too_large"
    default_message = "The size of the image file exceeds the maximum allowed."


class TooManyFilesError(LimitExceededError):
    code = "too_many_image_files"
    default_message = "The maximum number of images that can be imported at one time has been reached."
