"""What Allure's front page says of a run: `environment.properties` and `executor.json`."""

from __future__ import annotations

from pathlib import Path

from reports.run_folder import write_json, write_text
from reports.run_record import RunRecord


def report_name(record: RunRecord) -> str:
    """Return the title of the report; a simulated run says so first."""
    word = "SIMULATED · " if record.simulated else ""
    return f"{word}{record.profile.name} on {record.bench.name} · {record.begin}"


def write_environment(record: RunRecord, results: Path) -> None:
    """Write `environment.properties` and `executor.json` into a results folder."""
    rows = {
        "simulated": f"YES, SIMULATED: {record.simulated_because}" if record.simulated else "no, real hardware",
        "BMS": f"{record.dut.maker} {record.dut.model} (profile {record.profile.name})",
        "BMS.serial": record.dut.serial,
        "BMS.firmware": record.dut.firmware,
        "BMS.defects": ", ".join(record.defects) or "none given",
        "sign.convention": record.sign_convention,
        "sign.pack_current": next(
            (
                f"positive means {sign.positive_means} on this BMS ({sign.provenance})"
                for sign in record.signs
                if sign.signal == "pack_current"
            ),
            "not declared",
        ),
        "decision.rule": f"{record.decision_rule}, k = {record.coverage_factor:g}",
        "bench": record.bench.name,
        "seed": str(record.seed),
        "operator": record.operator or "not named",
        "begin": record.begin,
        "bmsbench": f"{record.versions.bmsbench} {(record.versions.commit or 'commit unknown')[:12]}"
        + (" with local changes" if record.versions.dirty else ""),
    }
    for entry in record.instruments:
        due = f", calibration due {entry.calibration_due}" if entry.calibration_due else ""
        overdue = " OVERDUE" if entry.overdue else ""
        rows[f"instrument.{entry.role}"] = f"{entry.maker} {entry.model}, serial {entry.serial}{due}{overdue}"
    lines = [f"{key}={_property(value)}\n" for key, value in rows.items()]
    write_text(results / "environment.properties", "".join(lines))
    write_json(
        results / "executor.json",
        {"name": "bmsbench", "type": "bmsbench", "buildName": record.id, "reportName": report_name(record)},
    )


def _property(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\r", " ").replace("\n", " ")
