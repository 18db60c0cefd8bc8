"""Sizes are bytes inside. The wire's GB are GiB and its MB are MiB, as in all of these APIs."""

KIB = 1024
MIB = 1024**2
GIB = 1024**3
TIB = 1024**4


def bytes_to_gib_up(size_bytes: int) -> int:
    """Whole GiB that hold `size_bytes`."""
    return -(-size_bytes // GIB)
