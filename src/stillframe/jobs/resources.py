"""What every step and every door may use, made once when the process starts and handed down."""

from dataclasses import dataclass

from stillframe.blobs.layout import DataLayout
from stillframe.config import Settings
from stillframe.db import Database
from stillframe.identity.tokens import TokenKeys


@dataclass(frozen=True, slots=True)
class Resources:
    """Safe to share between steps and requests."""

    settings: Settings
    layout: DataLayout
    database: Database
    token_keys: TokenKeys
