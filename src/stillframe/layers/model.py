"""What a layer is.

    creating ──► writable ──► sealed
        │  └───────────────────▲ │
        ▼            ▼           ▼
                  doomed  ──► (row and file gone)

`creating`: the row is there first, so a file without a row cannot be; its maker touches the row while it works.
`writable`: the top of a volume. `sealed`: immutable. `doomed`: nobody refers to it any more, the sweeper takes it.
"""

import enum
from datetime import datetime, timedelta

import msgspec


class LayerState(enum.StrEnum):
    CREATING = "creating"
    WRITABLE = "writable"
    SEALED = "sealed"
    DOOMED = "doomed"


ABANDONED_AFTER = timedelta(minutes=5)
"""A layer still `creating` that nobody has touched for so long has lost its maker, unless that is a job that lives."""


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """`parent_id` is the layer below; None means the file stands alone. Digests are of the stored bytes, in hex."""

    id: str
    disk_format: str
    state: LayerState
    parent_id: str | None
    superseded_by: str | None
    """A standalone layer of equal content that layers above should move to."""
    virtual_size_bytes: int
    stored_bytes: int | None
    md5: str | None
    sha512: str | None
    job_id: str | None
    """The job that makes it; as long as it lives the layer is its to clean up, not the sweeper's."""
    touched_at: datetime
