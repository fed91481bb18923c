"""Allure's files on a disk that takes no more: told once, instead of an internal error in the middle of a test."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import allure_commons


class AllureDisk:
    """Hands the first `OSError` of Allure's writers on; the tests go on to their way out.

    Register it with `start()`, end it with `stop()`.
    """

    def __init__(self, tell: Callable[[OSError], None]) -> None:
        self._tell = tell

    def start(self) -> None:
        """Stand around Allure's writers."""
        allure_commons.plugin_manager.register(self)

    def stop(self) -> None:
        """End that."""
        allure_commons.plugin_manager.unregister(self)

    def _guarded(self) -> Generator[None, Any, Any]:
        try:
            return (yield)
        except OSError as problem:
            self._tell(problem)
        return None

    @allure_commons.hookimpl(wrapper=True)  # type: ignore[untyped-decorator,unused-ignore]
    def report_result(self, result: Any) -> Generator[None, Any, Any]:
        """A test's result."""
        del result
        return (yield from self._guarded())

    @allure_commons.hookimpl(wrapper=True)  # type: ignore[untyped-decorator,unused-ignore]
    def report_container(self, container: Any) -> Generator[None, Any, Any]:
        """What belongs to fixtures."""
        del container
        return (yield from self._guarded())

    @allure_commons.hookimpl(wrapper=True)  # type: ignore[untyped-decorator,unused-ignore]
    def report_attached_file(self, source: Any, file_name: Any) -> Generator[None, Any, Any]:
        """An attachment that is a file."""
        del source, file_name
        return (yield from self._guarded())

    @allure_commons.hookimpl(wrapper=True)  # type: ignore[untyped-decorator,unused-ignore]
    def report_attached_data(self, body: Any, file_name: Any) -> Generator[None, Any, Any]:
        """An attachment that is text or bytes."""
        del body, file_name
        return (yield from self._guarded())
