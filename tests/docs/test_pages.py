"""Every command of the pages works when pasted, prints what is shown, and every file in them is a good one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

PAGES = (
    "../README.md",
    "first-hour.md",
    *(f"how-to/write-a-{thing}.md" for thing in ("driver", "profile", "definition", "suite")),
    "how-to/commission-an-instrument.md",
)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_followed_from_top_to_bottom(page: Callable[[str], Any], name: str) -> None:
    opened = page(name)
    opened.work_through()
    assert opened.ran >= 2
