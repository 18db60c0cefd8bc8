"""Programs that are measured with or against: found on the machine, or unpacked from Debian's packages.

They are unpacked into the user's cache and not installed: installing nginx or memcached would start a service.
"""

import socket


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
