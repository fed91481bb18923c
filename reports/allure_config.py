"""Files beside Allure's results: environment, executor, and the configuration of the report generator.

`categories.json` is ignored by Allure 3; its categories live in the configuration, where the first match counts.
Unknown fields of the configuration are errors and change between minor versions: written for 3.18.
"""

from __future__ import annotations

import json
from pathlib import Path

from reports.run_folder import write_json, write_text
from reports.run_record import RunRecord

# Labels that say nothing about the pack; without them the description stands higher on the page.
HIDDEN = ("host", "thread", "language", "framework", "package", "suite", "parentSuite", "subSuite", "as_id")


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


def config_text(name: str, output: Path) -> str:
    """Return the configuration (an ES module) that makes one HTML file of one run."""
    config = {
        "name": name,
        "output": output.as_posix(),
        "hideLabels": list(HIDDEN),
        "appendHistory": False,
        "plugins": {
            "awesome": {
                "options": {
                    "reportName": name,
                    "singleFile": True,
                    "reportLanguage": "en",
                    "groupBy": ["epic", "feature", "story"],
                }
            }
        },
    }
    text = json.dumps(config, indent=2, ensure_ascii=False)
    return f"""const config = {text};
config.categories = {{ rules: [
  {{ name: "Inconclusive: the bench cannot tell",
    matchers: {{ statuses: ["broken"], message: /^Inconclusive/ }} }},
  {{ name: "Product: the BMS did the wrong thing", matchers: {{ statuses: ["failed"] }} }},
  {{ name: "Bench: broken, look at the bench first", matchers: {{ statuses: ["broken"] }} }},
  {{ name: "Not tested", matchers: {{ statuses: ["skipped"] }} }},
] }};
export default config;
"""


def _property(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\r", " ").replace("\n", " ")
