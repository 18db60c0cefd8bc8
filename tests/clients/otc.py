"""otcextensions, loaded so that nothing else in this process gets to see it."""

from typing import Any

from openstack.connection import Connection
from otcextensions import sdk


class OtcConnection(Connection):
    """Loading sets the proxies on the connection's class: on openstacksdk's own they would be everybody's."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        sdk.load(self)
