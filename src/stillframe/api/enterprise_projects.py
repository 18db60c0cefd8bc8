"""Enterprise projects, of which there is one that holds everything: its id, and lists narrowed by it.

Source: Open Telekom Cloud, Enterprise Management; `enterprise_project_id` of the lists of IMS, ECS and VPC.
"""

DEFAULT = "0"
ALL = "all_granted_eps"
"""In place of an id: whichever one may see."""


def holds_everything(enterprise_project_id: str | None) -> bool:
    """Whether a list narrowed by it is the whole list; else nothing is on it."""
    return not enterprise_project_id or enterprise_project_id in (DEFAULT, ALL)
