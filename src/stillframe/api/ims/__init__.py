"""The door of IMS as Open Telekom Cloud and Huawei Cloud speak it: /v1 and /v2 cloudimages, jobs and tags.

Shares its listener with Glance, whose door answers unknown paths.
"""

from stillframe.api.ims.routes import handlers

OPEN_REQUESTS: frozenset[tuple[str, str]] = frozenset()

__all__ = ["OPEN_REQUESTS", "handlers"]
