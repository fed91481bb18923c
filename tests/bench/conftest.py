"""What the tests of the words share: a tree of a TOML text with one thing changed."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any

import pytest

Tree = dict[str, Any]


def _reach(tree: Any, keys: list[str]) -> Any:
    for key in keys:
        tree = tree[int(key)] if isinstance(tree, list) else tree.setdefault(key, {})
    return tree


@pytest.fixture(scope="session")
def changed() -> Callable[[str, str, Any], Tree]:
    """Return the tree of a text with one value set; the path is dotted, numbers index lists."""

    def change(text: str, path: str, value: Any) -> Tree:
        tree = tomllib.loads(text)
        *above, last = path.split(".")
        _reach(tree, above)[last] = value
        return tree

    return change


@pytest.fixture(scope="session")
def without() -> Callable[[str, str], Tree]:
    """Return the tree of a text without one key."""

    def remove(text: str, path: str) -> Tree:
        tree = tomllib.loads(text)
        *above, last = path.split(".")
        del _reach(tree, above)[last]
        return tree

    return remove
