"""Whose quotas there are, and what a number among them means."""

import enum

UNLIMITED = -1
MOST = 2**31 - 1


class QuotaOf(enum.StrEnum):
    """Whose API tells and sets them."""

    SERVERS = "servers"
    VOLUMES = "volumes"
    NETWORKS = "networks"


def fits(limit: int, used: int) -> bool:
    """Whether a project may have so much of something."""
    return limit == UNLIMITED or used <= limit
