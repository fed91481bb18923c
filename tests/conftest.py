"""What all tests of the framework share: the optional folder of real recordings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real databases and recordings, or skip: a plain clone does not have it."""
    beside = Path(__file__).resolve().parents[2]
    places = [Path(named)] if (named := os.environ.get("BMSBENCH_DATA")) else sorted(beside.glob("*/data/dbc/.."))
    for place in places:
        if (place / "logs").is_dir():
            return place.resolve()
    pytest.skip("no folder of recordings: set BMSBENCH_DATA to one that has dbc/ and logs/")
