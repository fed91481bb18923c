"""What the settings of a unit under test are, beside its snapshot and its profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.dut import Dut
from bench.dut_identity import identify
from bench.dut_settings import put_back, read_settings, show_setting
from bench.errors import DefinitionError, SafetyError
from bench.moved_promises import promised
from bench.profile import Profile
from bench.quarantine import quarantined_dut, release_dut


@dataclass(frozen=True, slots=True)
class Row:
    """One setting, in inside units; None where there is nothing to compare with."""

    name: str
    unit: str
    now: float | None
    snapshot: float | None
    profile: float | None

    @property
    def differs(self) -> bool:
        """True where it is not what the snapshot has."""
        return self.snapshot is not None and self.now != self.snapshot


@dataclass(frozen=True, slots=True)
class DutReport:
    """Who the unit is, and how it is set."""

    serial: str
    facts: Mapping[str, str]
    unknown: Mapping[str, str]
    quarantine: Mapping[str, Any] | None
    rows: tuple[Row, ...]


def look_at(dut: Dut, told_serial: str = "") -> DutReport:
    """Read identity and settings, and find what is remembered of this unit.

    Raises:
        DefinitionError: the operator names another unit than the one that answers.
        ReadingError: a setting cannot be read.
    """
    facts, unknown = identify(dut)
    found = facts.get("serial", "")
    if told_serial and found and found != told_serial:
        raise DefinitionError(f"--dut-serial: {told_serial!r} is told, but the BMS says it is {found!r}")
    dut.serial = told_serial or found
    entry = quarantined_dut(dut.serial) if dut.serial else None
    return DutReport(dut.serial, facts, unknown, entry, _rows(dut.profile, read_settings(dut), snapshot_of(entry)))


def snapshot_of(entry: Mapping[str, Any] | None) -> dict[str, float]:
    """Return the snapshot of a quarantine; a damaged one is none."""
    snapshot = entry.get("snapshot") if entry is not None else None
    if not isinstance(snapshot, dict) or not all(isinstance(value, (int, float)) for value in snapshot.values()):
        return {}
    return {str(name): float(value) for name, value in snapshot.items()}


def restore(dut: Dut, report: DutReport) -> None:
    """Write the snapshot back, compare, and lift the quarantine.

    Raises:
        DefinitionError: the unit is not quarantined, or did not say who it is.
        SafetyError: it does not read as before; or there is no snapshot to compare with. It stays quarantined.
    """
    if not report.serial:
        raise DefinitionError("this BMS did not say its serial number; name it with --dut-serial")
    if report.quarantine is None:
        raise DefinitionError(f"BMS {report.serial} is not quarantined; there is nothing to put back")
    snapshot = snapshot_of(report.quarantine)
    if not snapshot:
        raise SafetyError(
            f"BMS {report.serial} stays quarantined: its file holds no snapshot that can be read; compare its settings "
            "by hand, then remove the file from the folder 'quarantine' of the state folder"
        )
    release_dut(report.serial, put_back(dut, snapshot))


def _rows(profile: Profile, now: Mapping[str, float], snapshot: Mapping[str, float]) -> tuple[Row, ...]:
    names = [*profile.settings, *(name for name in snapshot if name not in profile.settings)]
    return tuple(_row(profile, name, now.get(name), snapshot.get(name)) for name in names)


def _row(profile: Profile, name: str, now: float | None, snapshot: float | None) -> Row:
    setting = profile.settings.get(name)
    if setting is None:
        return Row(name, "", now, snapshot, None)
    says = promised(profile.protection(setting.moved[0][0]), setting.moved[0][1]) if setting.moved else None
    return Row(name, setting.inside_unit, now, snapshot, says)


def show(profile: Profile, name: str, value: float | None) -> str:
    """Write a value of a row in its setting's unit, a dash where there is none."""
    if value is None:
        return "-"
    return show_setting(profile, name, value) if name in profile.settings else f"{value:g}"
