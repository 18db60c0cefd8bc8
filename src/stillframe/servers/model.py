"""What a server is.

    (request) ──► building ──► active ◄──► stopped
                      │            │           │
                      └──► error ◄─┴───────────┘          each of them ──► (row gone)

    active ◄──► paused     active ◄──► suspended     active or stopped ──► resized ──► as it was
    active, stopped, paused, suspended ──► shelved_offloaded ──► active

Between two states a server has a task, which one job carries out; while there is one, every other action is refused,
but for deletion, which ends the other job first.

Source: Open Telekom Cloud, ECS API reference, "ECS Statuses"; OpenStack Compute API, "Server Concepts". The latter also
says how a snapshot looks: the status stays, the task is `image_snapshot`.
"""

import enum
import re
from datetime import datetime

import msgspec

from stillframe.errors import ServerBusyError, ServerLockedError, ServerStateError
from stillframe.flavors.model import Flavor
from stillframe.identity.model import Caller
from stillframe.networks.model import Nic
from stillframe.networks.ports import WantedNic
from stillframe.volumes.model import Volume

MAX_DISKS = 24
"""Of a server: the system disk and 23 others."""


class VmState(enum.StrEnum):
    BUILDING = "building"
    ACTIVE = "active"
    STOPPED = "stopped"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    RESIZED = "resized"
    SHELVED_OFFLOADED = "shelved_offloaded"
    ERROR = "error"


WITH_MACHINE = frozenset({VmState.ACTIVE, VmState.PAUSED, VmState.SUSPENDED})
"""States in which there is a machine; a resized server has one if it had one before."""
WITHOUT_MACHINE = frozenset({VmState.STOPPED, VmState.SHELVED_OFFLOADED})


class TaskState(enum.StrEnum):
    SCHEDULING = "scheduling"
    BLOCK_DEVICE_MAPPING = "block_device_mapping"
    SPAWNING = "spawning"
    POWERING_ON = "powering-on"
    POWERING_OFF = "powering-off"
    REBOOTING = "rebooting"
    REBOOTING_HARD = "rebooting_hard"
    PAUSING = "pausing"
    UNPAUSING = "unpausing"
    SUSPENDING = "suspending"
    RESUMING = "resuming"
    SHELVING = "shelving"
    UNSHELVING = "unshelving"
    REBUILDING = "rebuilding"
    RESIZE_PREP = "resize_prep"
    RESIZE_FINISH = "resize_finish"
    RESIZE_REVERTING = "resize_reverting"
    IMAGE_SNAPSHOT = "image_snapshot"
    DELETING = "deleting"


BUILD_TASKS = frozenset({TaskState.SCHEDULING, TaskState.BLOCK_DEVICE_MAPPING, TaskState.SPAWNING})


class ServerStatus(enum.StrEnum):
    """One word for callers, made of state and task."""

    BUILD = "BUILD"
    ACTIVE = "ACTIVE"
    SHUTOFF = "SHUTOFF"
    ERROR = "ERROR"
    REBOOT = "REBOOT"
    HARD_REBOOT = "HARD_REBOOT"
    REBUILD = "REBUILD"
    RESIZE = "RESIZE"
    VERIFY_RESIZE = "VERIFY_RESIZE"
    REVERT_RESIZE = "REVERT_RESIZE"
    PAUSED = "PAUSED"
    SUSPENDED = "SUSPENDED"
    SHELVED_OFFLOADED = "SHELVED_OFFLOADED"


_DEFAULT_STATUS = {
    VmState.BUILDING: ServerStatus.BUILD,
    VmState.ACTIVE: ServerStatus.ACTIVE,
    VmState.STOPPED: ServerStatus.SHUTOFF,
    VmState.PAUSED: ServerStatus.PAUSED,
    VmState.SUSPENDED: ServerStatus.SUSPENDED,
    VmState.RESIZED: ServerStatus.VERIFY_RESIZE,
    VmState.SHELVED_OFFLOADED: ServerStatus.SHELVED_OFFLOADED,
    VmState.ERROR: ServerStatus.ERROR,
}
_STATUS_OF_TASK = {
    (VmState.ACTIVE, TaskState.REBOOTING): ServerStatus.REBOOT,
    (VmState.ACTIVE, TaskState.REBOOTING_HARD): ServerStatus.HARD_REBOOT,
    (VmState.ACTIVE, TaskState.REBUILDING): ServerStatus.REBUILD,
    (VmState.STOPPED, TaskState.REBUILDING): ServerStatus.REBUILD,
    (VmState.ERROR, TaskState.REBUILDING): ServerStatus.REBUILD,
    (VmState.ACTIVE, TaskState.RESIZE_PREP): ServerStatus.RESIZE,
    (VmState.STOPPED, TaskState.RESIZE_PREP): ServerStatus.RESIZE,
    (VmState.ACTIVE, TaskState.RESIZE_FINISH): ServerStatus.RESIZE,
    (VmState.STOPPED, TaskState.RESIZE_FINISH): ServerStatus.RESIZE,
    (VmState.RESIZED, TaskState.RESIZE_REVERTING): ServerStatus.REVERT_RESIZE,
}


def status_of(vm_state: VmState, task_state: TaskState | None) -> ServerStatus:
    if task_state is not None and (vm_state, task_state) in _STATUS_OF_TASK:
        return _STATUS_OF_TASK[vm_state, task_state]
    return _DEFAULT_STATUS[vm_state]


STATES_OF_STATUS: dict[ServerStatus, tuple[tuple[VmState, TaskState | None], ...]] = {
    status: tuple(
        (vm_state, task) for vm_state in VmState for task in (None, *TaskState) if status_of(vm_state, task) is status
    )
    for status in ServerStatus
}
"""The same table read the other way, for filters."""


class Action(enum.StrEnum):
    START = "start"
    STOP = "stop"
    SOFT_REBOOT = "soft reboot"
    HARD_REBOOT = "hard reboot"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    SUSPEND = "suspend"
    RESUME = "resume"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    REBUILD = "rebuild"
    RESIZE = "resize"
    CONFIRM_RESIZE = "confirm resize"
    REVERT_RESIZE = "revert resize"
    CAPTURE = "capture"
    DELETE = "delete"


class Rule(msgspec.Struct, frozen=True):
    """From which states an action is legal, the task it sets, and the state it ends in when it succeeds.

    `ends_in` None leaves the state as it was, or leads back to the one before a resize.
    """

    legal_in: frozenset[VmState]
    task: TaskState | None
    ends_in: VmState | None


RULES: dict[Action, Rule] = {
    Action.START: Rule(frozenset({VmState.STOPPED}), TaskState.POWERING_ON, VmState.ACTIVE),
    Action.STOP: Rule(frozenset({VmState.ACTIVE, VmState.ERROR}), TaskState.POWERING_OFF, VmState.STOPPED),
    Action.SOFT_REBOOT: Rule(frozenset({VmState.ACTIVE}), TaskState.REBOOTING, VmState.ACTIVE),
    Action.HARD_REBOOT: Rule(WITH_MACHINE | {VmState.STOPPED, VmState.ERROR}, TaskState.REBOOTING_HARD, VmState.ACTIVE),
    Action.PAUSE: Rule(frozenset({VmState.ACTIVE}), TaskState.PAUSING, VmState.PAUSED),
    Action.UNPAUSE: Rule(frozenset({VmState.PAUSED}), TaskState.UNPAUSING, VmState.ACTIVE),
    Action.SUSPEND: Rule(frozenset({VmState.ACTIVE}), TaskState.SUSPENDING, VmState.SUSPENDED),
    Action.RESUME: Rule(frozenset({VmState.SUSPENDED}), TaskState.RESUMING, VmState.ACTIVE),
    Action.SHELVE: Rule(WITH_MACHINE | {VmState.STOPPED}, TaskState.SHELVING, VmState.SHELVED_OFFLOADED),
    Action.UNSHELVE: Rule(frozenset({VmState.SHELVED_OFFLOADED}), TaskState.UNSHELVING, VmState.ACTIVE),
    Action.REBUILD: Rule(frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.ERROR}), TaskState.REBUILDING, None),
    Action.RESIZE: Rule(frozenset({VmState.ACTIVE, VmState.STOPPED}), TaskState.RESIZE_PREP, VmState.RESIZED),
    Action.CONFIRM_RESIZE: Rule(frozenset({VmState.RESIZED}), None, None),
    Action.REVERT_RESIZE: Rule(frozenset({VmState.RESIZED}), TaskState.RESIZE_REVERTING, None),
    Action.CAPTURE: Rule(frozenset({VmState.STOPPED}), TaskState.IMAGE_SNAPSHOT, None),
    Action.DELETE: Rule(frozenset(VmState), TaskState.DELETING, None),
}

INTERRUPTIBLE = frozenset(TaskState) - {TaskState.IMAGE_SNAPSHOT, TaskState.DELETING}
"""Tasks that a deletion ends. A capture it has to wait for: the image would lose its bytes."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why a server is in ERROR."""

    code: int
    message: str
    created_at: datetime


class Locker(enum.StrEnum):
    OWNER = "owner"
    ADMIN = "admin"


class ResizedFrom(msgspec.Struct, frozen=True, kw_only=True):
    """What a server was before a resize that is neither confirmed nor taken back."""

    flavor: Flavor
    vm_state: VmState


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """`flavor` is as it was when the server got it."""

    id: str
    project_id: str
    user_id: str
    name: str
    description: str | None = None
    flavor: Flavor
    image_id: str
    """What its system disk was once made from; empty when nobody knows."""
    cdrom_layer_id: str | None = None
    """The ISO file in its drive, which it starts from as long as nothing is installed on its system disk."""
    vm_state: VmState
    task_state: TaskState | None
    job_id: str | None
    """The job that carries out the task; None also while an image is captured."""
    metadata: dict[str, str] = msgspec.field(default_factory=dict)
    key_name: str | None = None
    public_key: str | None = None
    user_data: str | None = None
    """In base64, as it was sent."""
    availability_zone: str = ""
    config_drive: bool = True
    reservation_id: str = ""
    """The same for all servers made by one request."""
    locked_by: Locker | None = None
    locked_reason: str | None = None
    resized_from: ResizedFrom | None = None
    fault: Fault | None = None
    created_at: datetime
    updated_at: datetime
    launched_at: datetime | None = None
    volumes: tuple[Volume, ...] = ()
    """Its disks, the system disk first; not a column of its row."""
    nics: tuple[Nic, ...] = ()
    """Its network cards in their order; not columns of its row either."""
    tags: tuple[str, ...] = ()
    """In a table of their own, in the order of their letters."""

    @property
    def status(self) -> ServerStatus:
        return status_of(self.vm_state, self.task_state)

    @property
    def should_run(self) -> bool:
        """Whether it has a machine when it has no task."""
        before = self.resized_from.vm_state if self.resized_from else None
        return (before if self.vm_state is VmState.RESIZED else self.vm_state) in WITH_MACHINE

    @property
    def host_name(self) -> str:
        """The name as a guest can have it."""
        return re.sub(r"[^a-z0-9-]+", "-", self.name.lower()).strip("-")[:63].strip("-") or f"server-{self.id}"


def require_legal(server: Server, action: Action) -> Rule:
    """Raises: ServerBusyError while a task stands against it, ServerStateError from the wrong state."""
    rule = RULES[action]
    interrupts = action is Action.DELETE and server.task_state in INTERRUPTIBLE
    if server.task_state is not None and not interrupts:
        raise ServerBusyError(
            f"Cannot '{action}' server {server.id} while it is in task_state {server.task_state}",
        )
    if server.vm_state not in rule.legal_in:
        raise ServerStateError(f"Cannot '{action}' server {server.id} while it is in vm_state {server.vm_state}")
    return rule


def require_unlocked(server: Server, caller: Caller) -> None:
    """A lock binds everybody but administrators of the platform. Raises: ServerLockedError."""
    if server.locked_by is not None and not caller.is_platform_admin:
        raise ServerLockedError(f"Instance {server.id} is locked")


class DiskSource(enum.StrEnum):
    """What a disk of a new server is made from; a volume becomes the disk itself."""

    BLANK = "blank"
    IMAGE = "image"
    VOLUME = "volume"
    SNAPSHOT = "snapshot"


class RootDisk(msgspec.Struct, frozen=True, kw_only=True):
    """`size_gib` None takes the smallest the source fits in. `source_id` is not for an image: the server names that."""

    size_gib: int | None = None
    delete_on_termination: bool = True
    volume_type: str | None = None
    source: DiskSource = DiskSource.IMAGE
    source_id: str | None = None


class DataDisk(msgspec.Struct, frozen=True, kw_only=True):
    """`device_index` None takes the next free place."""

    source: DiskSource = DiskSource.BLANK
    source_id: str | None = None
    size_gib: int | None = None
    delete_on_termination: bool = False
    volume_type: str | None = None
    name: str = ""
    metadata: dict[str, str] = msgspec.field(default_factory=dict)
    device_index: int | None = None


class NewServer(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller wants; `nics` None means one card on the project's own network.

    `image_id` is None for a server whose system disk is a volume, or made from a snapshot. `security_groups` are names
    or ids, for the cards made with the server; None leaves the default one.
    """

    name: str
    flavor_id: str
    image_id: str | None
    description: str | None = None
    nics: tuple[WantedNic, ...] | None = None
    security_groups: tuple[str, ...] | None = None
    key_name: str | None = None
    user_data: str | None = None
    metadata: dict[str, str] = msgspec.field(default_factory=dict)
    tags: tuple[str, ...] = ()
    availability_zone: str | None = None
    config_drive: bool = True
    root_disk: RootDisk = RootDisk()
    data_disks: tuple[DataDisk, ...] = ()


class CaptureSource(msgspec.Struct, frozen=True, kw_only=True):
    """A server whose system disk may be captured now, and the disk."""

    server_id: str
    server_name: str
    flavor: Flavor
    image_id: str
    volume: Volume
    is_running: bool


class ServerUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What a project's servers take, and may take."""

    servers: int
    servers_limit: int
    cores: int
    cores_limit: int
    ram_mib: int
    ram_limit_mib: int


class Keypair(msgspec.Struct, frozen=True, kw_only=True):
    """Belongs to a user, not to a project."""

    user_id: str
    name: str
    public_key: str
    fingerprint: str
    created_at: datetime
