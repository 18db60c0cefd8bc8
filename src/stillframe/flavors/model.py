"""What a flavor is: so many processors and so much memory, under a name that clients know."""

import msgspec


class Flavor(msgspec.Struct, frozen=True, kw_only=True):
    """Its id is its name, as on the public cloud these come from. The system disk's size is the volume's, never its."""

    id: str
    vcpus: int
    ram_mib: int
    is_public: bool = True
    extra_specs: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.id


def _flavor(name: str, vcpus: int, ram_mib: int) -> Flavor:
    return Flavor(
        id=name,
        vcpus=vcpus,
        ram_mib=ram_mib,
        extra_specs={
            "ecs:performancetype": "normal",
            "ecs:generation": name.partition(".")[0],
            "cond:operation:status": "normal",
        },
    )


BUILT_IN = (
    _flavor("s3.tiny", 1, 256),
    _flavor("s3.small.1", 1, 512),
    _flavor("s3.medium.1", 1, 1024),
    _flavor("s3.medium.2", 1, 2048),
    _flavor("s3.medium.4", 1, 4096),
    _flavor("s3.large.1", 2, 2048),
    _flavor("s3.large.2", 2, 4096),
    _flavor("s3.large.4", 2, 8192),
    _flavor("s3.xlarge.2", 4, 8192),
    _flavor("s3.xlarge.4", 4, 16384),
)
"""What a new installation has. The last number of a name is GiB of memory for each processor; the two smallest, which
have less, are for small hosts and tests."""
