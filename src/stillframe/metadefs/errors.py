"""What this room refuses, hung below the tree of `stillframe.errors`.

NotFoundError
└── DefinitionNotFoundError         also for a namespace that the caller may not see
ForbiddenError
├── DefinitionChangeForbiddenError  only administrators of the platform write definitions
└── DefinitionProtectedError
ConflictError
└── DefinitionExistsError
"""

from stillframe.errors import ConflictError, ForbiddenError, NotFoundError


class DefinitionNotFoundError(NotFoundError):
    code = "metadef_not_found"
    default_message = "The metadata definition does not exist."


class DefinitionChangeForbiddenError(ForbiddenError):
    code = "metadef_change_forbidden"
    default_message = "Only an administrator of the platform may change metadata definitions."


class DefinitionProtectedError(ForbiddenError):
    code = "metadef_protected"
    default_message = "The metadata definition is protected and cannot be deleted."


class DefinitionExistsError(ConflictError):
    code = "metadef_exists"
    default_message = "A metadata definition of that name exists already."
