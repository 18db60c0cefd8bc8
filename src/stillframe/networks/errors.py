"""What stands against a change of a network, each by the name Neutron gives it."""

from stillframe.errors import ConflictError, LimitExceededError


class NetworkThingInUseError(ConflictError):
    code = "network_thing_in_use"
    default_message = "It is in use."


class AddressInUseError(ConflictError):
    code = "address_in_use"
    default_message = "The address is in use."


class NoAddressLeftError(ConflictError):
    code = "no_address_left"
    default_message = "No more IP addresses available on network."


class RuleExistsError(ConflictError):
    code = "security_group_rule_exists"
    default_message = "Security group rule already exists."


class NetworkQuotaExceededError(LimitExceededError):
    code = "network_quota_exceeded"
    default_message = "Quota exceeded for networks."
