"""What a job is.

    queued ──► running ──► succeeded
      │           │  └───► failed
      │           ▼
      └──► cancelling ───► cancelled

The three on the right are final: no statement in rows.py touches a row in one of them.
"""

import enum
from datetime import datetime
from typing import Any

import msgspec


class JobState(enum.StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


LIVE = (JobState.QUEUED, JobState.RUNNING, JobState.CANCELLING)
FINAL = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


class Service(enum.StrEnum):
    """Whose jobs path shows the job: jobs of one service are unknown to the others, internal ones to all."""

    IMS = "ims"
    ECS = "ecs"
    EVS = "evs"
    GLANCE = "glance"
    """Tasks of the image API, shown there and nowhere else."""
    INTERNAL = "internal"


class Lane(enum.StrEnum):
    """Jobs of one lane share a limit of how many run at once; lanes never wait for each other."""

    SEAL = "seal"
    MACHINE = "machine"
    TRANSFER = "transfer"
    DOWNLOAD = "download"
    """From servers that are not ours, and may take all the time in the world."""
    CONSOLIDATE = "consolidate"


LANE_LIMITS = {Lane.SEAL: 8, Lane.MACHINE: 8, Lane.TRANSFER: 2, Lane.DOWNLOAD: 4, Lane.CONSOLIDATE: 1}


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """`args` is what the submitter fixed, `result` what the last step found out; both JSON objects."""

    id: str
    kind: str
    service: Service
    lane: Lane
    project_id: str | None
    user_id: str | None
    subject_id: str | None
    """The server, volume, image or layer worked on."""
    state: JobState
    phase: str
    bytes_done: int
    bytes_total: int
    error_code: str | None
    error_message: str | None
    args: dict[str, Any]
    result: dict[str, Any]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline_at: datetime

    @property
    def percent(self) -> float:
        """100 only once the job has succeeded; before that what the running phase has done, at most 99."""
        if self.state is JobState.SUCCEEDED:
            return 100.0
        return min(99.0, 100.0 * self.bytes_done / self.bytes_total) if self.bytes_total else 0.0


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    service: Service
    lane: Lane
    subject_id: str | None
    project_id: str | None = None
    user_id: str | None = None
    args: dict[str, Any] = msgspec.field(default_factory=dict)
    id: str | None = None
    timeout_s: float = 24 * 3600.0


class JobSort(enum.StrEnum):
    CREATED = "created"
    CHANGED = "changed"
    FINISHED = "finished"
    ID = "id"
    KIND = "kind"
    STATE = "state"


class JobQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A page of jobs; empty tuples ask for any."""

    limit: int
    after_id: str | None = None
    """The last job of the page before."""
    sort: JobSort = JobSort.CREATED
    descending: bool = True
    states: tuple[JobState, ...] = ()
    kinds: tuple[str, ...] = ()
