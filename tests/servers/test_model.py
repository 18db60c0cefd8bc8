"""The table of states, tasks and actions."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillframe.errors import ServerBusyError, ServerStateError
from stillframe.flavors.model import BUILT_IN
from stillframe.servers.model import (
    INTERRUPTIBLE,
    RULES,
    STATES_OF_STATUS,
    Action,
    Server,
    ServerStatus,
    TaskState,
    VmState,
    require_legal,
    status_of,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)

vm_states = st.sampled_from(VmState)
tasks = st.one_of(st.none(), st.sampled_from(TaskState))


def server(vm_state: VmState, task: TaskState | None, name: str = "web") -> Server:
    return Server(
        id="5a3c1f0e-0000-4000-8000-000000000001",
        project_id="a" * 32,
        user_id="e" * 32,
        name=name,
        flavor=BUILT_IN[0],
        image_id="5a3c1f0e-0000-4000-8000-000000000002",
        vm_state=vm_state,
        task_state=task,
        job_id=None,
        created_at=NOW,
        updated_at=NOW,
    )


@given(vm_states, tasks, st.sampled_from(Action))
def test_an_action_is_legal_exactly_where_the_table_says_so(
    vm_state: VmState, task: TaskState | None, action: Action
) -> None:
    is_free = task is None or (action is Action.DELETE and task in INTERRUPTIBLE)
    expected: type[Exception] | None = None
    if not is_free:
        expected = ServerBusyError
    elif vm_state not in RULES[action].legal_in:
        expected = ServerStateError
    if expected is None:
        assert require_legal(server(vm_state, task), action) is RULES[action]
    else:
        with pytest.raises(expected):
            require_legal(server(vm_state, task), action)


@given(vm_states, tasks)
def test_every_pair_of_state_and_task_has_exactly_one_status(vm_state: VmState, task: TaskState | None) -> None:
    found = [status for status, pairs in STATES_OF_STATUS.items() if (vm_state, task) in pairs]
    assert found == [status_of(vm_state, task)]


@pytest.mark.parametrize(
    ("vm_state", "task", "status"),
    [
        (VmState.BUILDING, TaskState.SCHEDULING, ServerStatus.BUILD),
        (VmState.BUILDING, None, ServerStatus.BUILD),
        (VmState.ACTIVE, None, ServerStatus.ACTIVE),
        (VmState.ACTIVE, TaskState.POWERING_OFF, ServerStatus.ACTIVE),
        (VmState.ACTIVE, TaskState.DELETING, ServerStatus.ACTIVE),
        (VmState.ACTIVE, TaskState.REBOOTING, ServerStatus.REBOOT),
        (VmState.ACTIVE, TaskState.REBOOTING_HARD, ServerStatus.HARD_REBOOT),
        (VmState.ACTIVE, TaskState.IMAGE_SNAPSHOT, ServerStatus.ACTIVE),
        (VmState.STOPPED, None, ServerStatus.SHUTOFF),
        (VmState.STOPPED, TaskState.POWERING_ON, ServerStatus.SHUTOFF),
        (VmState.STOPPED, TaskState.IMAGE_SNAPSHOT, ServerStatus.SHUTOFF),
        (VmState.STOPPED, TaskState.REBOOTING_HARD, ServerStatus.SHUTOFF),
        (VmState.ACTIVE, TaskState.REBUILDING, ServerStatus.REBUILD),
        (VmState.ERROR, TaskState.REBUILDING, ServerStatus.REBUILD),
        (VmState.STOPPED, TaskState.RESIZE_PREP, ServerStatus.RESIZE),
        (VmState.RESIZED, None, ServerStatus.VERIFY_RESIZE),
        (VmState.RESIZED, TaskState.RESIZE_REVERTING, ServerStatus.REVERT_RESIZE),
        (VmState.PAUSED, None, ServerStatus.PAUSED),
        (VmState.PAUSED, TaskState.IMAGE_SNAPSHOT, ServerStatus.PAUSED),
        (VmState.SHELVED_OFFLOADED, None, ServerStatus.SHELVED_OFFLOADED),
        (VmState.ERROR, None, ServerStatus.ERROR),
        (VmState.ERROR, TaskState.DELETING, ServerStatus.ERROR),
    ],
)
def test_the_status_is_what_the_reference_says(vm_state: VmState, task: TaskState | None, status: ServerStatus) -> None:
    assert status_of(vm_state, task) is status


@given(st.lists(st.sampled_from([action for action in Action if action is not Action.DELETE]), max_size=12), vm_states)
def test_no_row_of_successful_actions_leaves_the_table(actions: list[Action], vm_state: VmState) -> None:
    for action in actions:
        rule = RULES[action]
        if vm_state in rule.legal_in:
            vm_state = rule.ends_in or vm_state
            assert vm_state is not VmState.ERROR or rule.ends_in is None


@given(st.text(max_size=255))
def test_every_name_makes_a_host_name_that_a_guest_can_have(name: str) -> None:
    host_name = server(VmState.ACTIVE, None, name).host_name
    assert 1 <= len(host_name) <= 63
    assert host_name == host_name.strip("-").lower()
    assert all(char.isascii() and (char.isalnum() or char == "-") for char in host_name)
