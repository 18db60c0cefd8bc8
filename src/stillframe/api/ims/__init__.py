"""The door of IMS as Open Telekom Cloud and Huawei Cloud speak it: /v1 and /v2 cloudimages, jobs and tags.

Shares its listener with Glance, whose door answers unknown paths.
"""

import re

from stillframe.api.ims.routes import handlers

OPEN_REQUESTS: frozenset[tuple[str, str]] = frozenset()

REMEMBERED_PATHS = (re.compile(r"/v1/[^/]+/jobs/[^/]+|/v1/cloudimages/job/[^/]+|/v2/cloudimages"),)

__all__ = ["OPEN_REQUESTS", "REMEMBERED_PATHS", "handlers"]
