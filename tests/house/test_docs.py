"""What the docs promise is read off the code, so that neither can move without the other."""

from pathlib import Path

import pytest

from stillframe.config import Settings
from stillframe.coverage import render

DOCS = Path(__file__).parents[2] / "docs"


def test_the_coverage_table_is_what_the_routes_say() -> None:
    """Mend it with `make coverage-docs`."""
    assert (DOCS / "coverage.md").read_text() == render()


@pytest.mark.parametrize("name", Settings.__struct_fields__)
def test_every_setting_is_documented(name: str) -> None:
    assert f"`{name}`" in (DOCS / "configuration.md").read_text()


@pytest.mark.parametrize("page", [DOCS.parent / "README.md", *DOCS.rglob("*.md")], ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = [part.split(")")[0].split("#")[0] for part in page.read_text().split("](")[1:]]
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []
