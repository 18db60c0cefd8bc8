"""Statuses that callers set by themselves: reservations as Nova makes them, and an administrator's last resort."""

from stillframe.db import Transaction
from stillframe.errors import ForbiddenError, InvalidInputError, VolumeStateError
from stillframe.identity.model import Caller
from stillframe.volumes import service
from stillframe.volumes.model import VolumeStatus


async def move(tx: Transaction, caller: Caller, volume_id: str, before: VolumeStatus, after: VolumeStatus) -> None:
    """Raises: VolumeNotFoundError, ForbiddenError; VolumeStateError from any other status."""
    volume = await service.lock_own_volume(tx, caller, volume_id)
    service.require_status(volume, before)
    await service.change_volume(tx, volume, status=after)


async def forget_reservation(tx: Transaction, caller: Caller, volume_id: str) -> None:
    """Whoever reserved a volume attaches it next. Nothing happens to one in any other status."""
    volume = await service.lock_own_volume(tx, caller, volume_id)
    if volume.status is VolumeStatus.ATTACHING and volume.job_id is None and volume.attachment is None:
        await service.change_volume(tx, volume, status=VolumeStatus.AVAILABLE)


async def reset_status(tx: Transaction, caller: Caller, volume_id: str, wanted: str) -> None:
    """Only to what can be true: in-use of an attached volume, available of another, error of either.

    Raises: VolumeNotFoundError, InvalidInputError; ForbiddenError for all but administrators of the platform;
    VolumeStateError while a job works on it.
    """
    volume = await service.lock_own_volume(tx, caller, volume_id)
    if not caller.is_platform_admin:
        raise ForbiddenError("Only an administrator of the platform can reset the status of a volume.")
    fit = {VolumeStatus.ERROR, VolumeStatus.IN_USE if volume.attachment else VolumeStatus.AVAILABLE}
    if wanted not in fit:
        raise InvalidInputError(f"The status can be reset to {' or '.join(sorted(fit))}.", field="status")
    if volume.job_id is not None:
        raise VolumeStateError(f"Invalid volume: Volume {volume.id} is being worked on.")
    await service.change_volume(tx, volume, status=VolumeStatus(wanted))
