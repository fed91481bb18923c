"""Change settings of a BMS for the length of a test, and put them back; or the unit stays quarantined.

The order is the point: serial number, snapshot of everything declared, quarantine on the disk, first write. Whatever
happens afterwards, a `kill -9` included, that unit is refused by every later run until its settings read as before.
Settings are written and put back with all outputs off. In simulated time the unit is new with each test, so nothing is
kept on disk; the rest is the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench import quarantine
from bench.clock import wait_until
from bench.dut import Dut
from bench.dut_identity import check_dut
from bench.errors import BenchError, DefinitionError, OutOfRange, ProductFailure, ReadingError, SafetyError
from bench.loading import nearest
from bench.moved_promises import moved_row, require_sound
from bench.profile import Profile
from bench.protection import Protection
from bench.settings import ReadsSettings, WritesSettings
from bench.shield import shielded
from bench.stand import Stand
from bench.stimulus import release

HEARD_WITHIN_S = 2.0
ROUNDS = 2  # of putting back: a BMS may refuse a threshold as long as its release is still beyond it


@dataclass(frozen=True, slots=True)
class Changed:
    """What was changed: `values` as read back, `profile` with the promises that follow them."""

    serial: str
    snapshot: Mapping[str, float]
    values: Mapping[str, float]
    profile: Profile

    def protection(self, name: str) -> Protection:
        """Return a protection as it is promised now."""
        return self.profile.protection(name)


def read_settings(dut: Dut) -> dict[str, float]:
    """Read every setting that the profile declares, in inside units.

    Raises:
        ReadingError: one cannot be read; there is no half snapshot. LinkError: the link is broken.
    """
    found = {}
    for name, setting in dut.profile.settings.items():
        link = dut.links[setting.link]
        if not isinstance(link, ReadsSettings):
            raise DefinitionError(f"link {setting.link} cannot read settings, {name} for instance")
        found[name] = link.read_setting(name)
    return found


def check_values(profile: Profile, values: Mapping[str, float]) -> tuple[dict[str, float], Profile]:
    """See that values may be written; return them as a read-back would show them, and the promises that follow.

    Raises:
        DefinitionError: no such setting, or a protection would contradict itself.
        OutOfRange: outside what the profile allows to write, between two steps, or beyond the absolute maxima.
    """
    rows = {row.name: row for row in profile.protections}
    wanted = {}
    for name, value in values.items():
        if name not in profile.settings:
            raise DefinitionError(f"profile {profile.name} has no setting {name!r}{nearest(name, profile.settings)}")
        setting = profile.settings[name]
        try:
            wanted[name] = setting.allow(value, profile.limited_direction(name))
        except OutOfRange as problem:
            raise OutOfRange(f"settings.{name}: {problem}; nothing was written") from None
        for row, key in setting.moved:
            rows[row] = moved_row(rows[row], key, wanted[name])
    for name in values:
        for row, _ in profile.settings[name].moved:
            require_sound(rows[row])
            if beyond := profile.beyond_absolute(rows[row]):
                raise OutOfRange(f"settings.{name}: {row}.threshold {beyond}; nothing was written")
    return wanted, profile.model_copy(update={"protections": tuple(rows.values())})


@contextlib.contextmanager
def changed(stand: Stand, values: Mapping[str, float]) -> Iterator[Changed]:
    """Change settings for the length of a block, in inside units (A, V, s, degC), and put all of them back.

    Raises:
        DefinitionError, OutOfRange: refused before anything was written.
        ProductFailure: the BMS did not keep what was written, or changed what was not.
        SafetyError: the settings could not be put back: the unit stays quarantined, the run stops.
    """
    dut, on_disk = stand.dut, not stand.clock.simulated
    wanted, promises = check_values(stand.profile, values)
    if not dut.identified:
        check_dut(stand)
    _require_ready(dut, wanted)
    _outputs_off(stand)
    snapshot = read_settings(dut)
    if on_disk:
        quarantine.check_dut(dut.serial)  # once more: it may be long since the bench was opened
        cause = f"a test on bench {stand.definition.name} changed {', '.join(wanted)} and did not put it back"
        quarantine.quarantine_dut(
            dut.serial, snapshot, cause=cause, profile=stand.profile.name, bench=stand.definition.name
        )
    dut.settings_changed = True
    try:
        stand.note(f"settings of {dut.serial}: {_texts(stand.profile, wanted, snapshot)}", snapshot=snapshot)
        for name, value in wanted.items():
            _write(dut, name, value)
        expected = {**snapshot, **wanted}
        read_back = read_settings(dut)
        _require_kept(stand.profile, expected, read_back, "after writing")
        _hear_again(stand)
        yield Changed(dut.serial, snapshot, {name: read_back[name] for name in wanted}, promises)
        _outputs_off(stand)
        _require_kept(stand.profile, expected, read_settings(dut), "at the end, nobody wrote meanwhile")
    except BaseException as problem:
        trouble = _leave(stand, snapshot, on_disk=on_disk)
        if isinstance(trouble, SafetyError):
            raise trouble from problem
        if trouble is not None:
            problem.add_note(f"while the settings were put back: {trouble}")
        raise
    trouble = _leave(stand, snapshot, on_disk=on_disk)
    if trouble is not None:
        raise trouble


def put_back(dut: Dut, snapshot: Mapping[str, float]) -> dict[str, float]:
    """Write what reads otherwise than in a snapshot, and return what all settings read then.

    Raises:
        BenchError: a setting cannot be read, or was refused although it differs.
    """
    for _ in range(ROUNDS):
        now = read_settings(dut)
        wrong = [name for name in snapshot if name in now and now[name] != snapshot[name]]
        if not wrong:
            return now
        refused: BenchError | None = None
        for name in wrong:
            try:
                _write(dut, name, snapshot[name])
            except BenchError as problem:  # the others get their chance
                refused = problem
    now = read_settings(dut)
    if refused is not None and quarantine.differences(snapshot, now):
        raise refused
    return now


def _require_ready(dut: Dut, wanted: Mapping[str, float]) -> None:
    if not wanted:
        raise DefinitionError("no setting was named that is to be changed")
    if not dut.serial:
        raise DefinitionError(
            f"this {dut.profile.name} did not say its serial number: a unit that cannot be recognised must not be "
            "changed; name it with --dut-serial"
        )
    if dut.settings_changed:
        raise DefinitionError(f"settings of {dut.serial} are changed already; change all that a test needs at once")
    for name in wanted:
        if not isinstance(dut.links[dut.profile.settings[name].link], WritesSettings):
            raise DefinitionError(f"link {dut.profile.settings[name].link} cannot write setting {name}")


def _outputs_off(stand: Stand) -> None:
    """Settings are written and put back without current: what a BMS does with its switches meanwhile is not known."""
    if any(part.is_output_on() for part in stand.guard.drivers.values()):
        release(stand)


def _hear_again(stand: Stand) -> None:
    """Settings and polls share one line: let the polls catch up, so that no reading is stale by our doing."""

    def heard() -> bool:
        try:
            stand.dut.read("pack_current")
        except ReadingError:
            return False
        return True

    wait_until(
        stand.clock, heard, timeout_s=HEARD_WITHIN_S, poll_s=0.05
    )  # one that stays silent is the test's business


def _write(dut: Dut, name: str, value: float) -> None:
    link = dut.links[dut.profile.settings[name].link]
    if not isinstance(link, WritesSettings):
        raise DefinitionError(f"link {dut.profile.settings[name].link} cannot write setting {name}")
    link.write_setting(name, value)


def _require_kept(profile: Profile, expected: Mapping[str, float], found: Mapping[str, float], when: str) -> None:
    wrong = [
        f"{name} reads {show_setting(profile, name, found[name])}, should be {show_setting(profile, name, value)}"
        for name, value in expected.items()
        if found[name] != value
    ]
    if wrong:
        raise ProductFailure(f"the BMS did not keep its settings, {when}: {'; '.join(wrong)}")


def _leave(stand: Stand, snapshot: Mapping[str, float], *, on_disk: bool) -> Exception | None:
    """Put everything back, and return what else went wrong on the way.

    A watch that failed meanwhile is told by the clock at the next sleep, which may be in here: so a second try.

    Raises:
        SafetyError: the settings could not be put back.
    """
    dut, trouble = stand.dut, None
    stays = "; it stays quarantined: bmsbench settings --restore" if on_disk else ""
    with shielded("settings of the BMS are being put back, please wait"):
        try:
            _outputs_off(stand)
        except Exception as problem:  # noqa: BLE001 - whatever a callback raised; the settings come first
            trouble = problem
        for attempt in range(2):
            try:
                read_back = put_back(dut, snapshot)
                break
            except Exception as problem:
                trouble = trouble or problem
                if attempt:
                    raise SafetyError(
                        f"settings of BMS {dut.serial} could not be put back: {problem}{stays}"
                    ) from problem
        if on_disk:
            quarantine.release_dut(dut.serial, read_back)
        elif wrong := quarantine.differences(snapshot, read_back):
            raise SafetyError(f"settings of BMS {dut.serial} were not put back: {'; '.join(wrong)}")
        dut.settings_changed = False
        _hear_again(stand)
        stand.note(f"settings of {dut.serial} read as before")
    return trouble


def show_setting(profile: Profile, name: str, value: float) -> str:
    """Write a setting in the unit of its profile, with as many digits as it has steps."""
    setting = profile.settings[name]
    step = f"{abs(setting.scale):.6f}".rstrip("0")
    unit = "" if setting.unit == "1" else f" {setting.unit}"
    return f"{setting.about.from_si(value):.{len(step.partition('.')[2])}f}{unit}"


def _texts(profile: Profile, wanted: Mapping[str, float], snapshot: Mapping[str, float]) -> str:
    return ", ".join(
        f"{name} from {show_setting(profile, name, snapshot[name])} to {show_setting(profile, name, value)}"
        for name, value in wanted.items()
    )
