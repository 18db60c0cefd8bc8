"""The door of VPC as Open Telekom Cloud and Huawei Cloud speak it. Shares its listener and its rows with Neutron's.

Source: Open Telekom Cloud, VPC API reference.
"""

from stillframe.api.vpc_v1.routes import handlers

OPEN_REQUESTS: frozenset[tuple[str, str]] = frozenset()

__all__ = ["OPEN_REQUESTS", "handlers"]
