"""What every step may use, made once when the worker starts and handed to each step."""

from dataclasses import dataclass

from stillframe.blobs.layout import DataLayout
from stillframe.config import Settings
from stillframe.db import Database


@dataclass(frozen=True, slots=True)
class Resources:
    """`QemuTools`-like members are added by their rooms' needs; everything here is safe to share between steps."""

    settings: Settings
    layout: DataLayout
    database: Database
