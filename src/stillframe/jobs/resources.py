"""What every step and every door may use, made once when the process starts and handed down."""

from dataclasses import dataclass, field

from stillframe.blobs.layout import DataLayout
from stillframe.config import Settings
from stillframe.db import Database
from stillframe.identity.tokens import TokenKeys
from stillframe.kit.leases import Leases


@dataclass(frozen=True, slots=True)
class Resources:
    """Safe to share between steps and requests."""

    settings: Settings
    layout: DataLayout
    database: Database
    token_keys: TokenKeys
    layers_being_read: Leases = field(default_factory=Leases)
    """By the ids of layers: their files are about to be opened by name, and stay until they are let go."""
