"""The door of networks: what Neutron v2.0 says about the one network a project has. Nothing of it can be changed.

Source: OpenStack Networking API v2.0 reference; Open Telekom Cloud, VPC API reference.
"""

from stillframe.api.network_v2 import routes
from stillframe.api.network_v2.errors import exception_handlers
from stillframe.api.network_v2.not_offered import not_offered
from stillframe.api.network_v2.routes import OPEN_REQUESTS

handlers = [*routes.handlers, *not_offered]

__all__ = ["OPEN_REQUESTS", "exception_handlers", "handlers"]
