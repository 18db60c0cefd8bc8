"""The door of networks: Neutron v2.0.

Source: OpenStack Networking API v2.0 reference.
"""

from stillframe.api.network_v2 import (
    address_groups,
    floating_ips,
    others,
    ports,
    quotas,
    routers,
    routes,
    security_groups,
)
from stillframe.api.network_v2.errors import exception_handlers
from stillframe.api.network_v2.not_offered import not_offered
from stillframe.api.network_v2.others import OPEN_REQUESTS

handlers = [
    *others.handlers,
    *quotas.handlers,
    *routes.handlers,
    *ports.handlers,
    *routers.handlers,
    *security_groups.handlers,
    *address_groups.handlers,
    *floating_ips.handlers,
    *not_offered,
]

__all__ = ["OPEN_REQUESTS", "exception_handlers", "handlers"]
