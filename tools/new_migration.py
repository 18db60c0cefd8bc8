"""Writes the next migration from the difference between the tables in the code and the migrations so far.

Usage: python tools/new_migration.py "what changes"
"""

import sys
import tempfile
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

import stillframe.app  # noqa: F401 - the wiring imports every room's tables
from stillframe.db.migrations import HERE


def main() -> None:
    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    number = len(list((HERE / "versions").glob("[0-9]*.py"))) + 1
    with tempfile.TemporaryDirectory() as directory:
        engine = sa.create_engine(f"sqlite:///{Path(directory) / 'migrated.db'}")
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.revision(config, sys.argv[1], autogenerate=True, rev_id=f"{number:04d}")


main()
