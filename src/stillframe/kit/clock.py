"""Time is UTC inside, always aware. The wire has four spellings; each has its function."""

from datetime import UTC, datetime


def utcnow() -> datetime:
    return datetime.now(UTC)


def iso_seconds_z(moment: datetime) -> str:
    """`2026-01-01T10:00:00Z`: Glance, Nova and IMS images."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_millis_z(moment: datetime) -> str:
    """`2026-01-01T10:00:00.123Z`: jobs of IMS, ECS and EVS."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def iso_micros_z(moment: datetime) -> str:
    """`2026-01-01T10:00:00.123456Z`: tokens."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def iso_micros(moment: datetime) -> str:
    """`2026-01-01T10:00:00.123456`, UTC without a zone: Cinder volumes and Nova's launched_at."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")
