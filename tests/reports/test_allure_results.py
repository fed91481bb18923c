"""What allure-pytest writes with our observer beside it: status, labels, steps, evidence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reports.run_folder import RunFolder


@pytest.fixture(scope="module")
def results(small_run: RunFolder) -> dict[str, dict[str, Any]]:
    loaded = [json.loads(path.read_text("utf-8")) for path in small_run.allure_results.glob("*-result.json")]
    return {result["fullName"].rpartition("#")[2]: result for result in loaded}


def labels(result: dict[str, Any], name: str) -> list[str]:
    return [label["value"] for label in result["labels"] if label["name"] == name]


def step_names(steps: list[dict[str, Any]], depth: int = 0) -> list[str]:
    names: list[str] = []
    for step in steps:
        names.append("  " * depth + step["name"])
        names += step_names(step.get("steps", []), depth + 1)
    return names


def test_failed_is_the_product_and_broken_is_the_bench(results: dict[str, dict[str, Any]]) -> None:
    assert {name: (result["status"], labels(result, "outcome")) for name, result in results.items()} == {
        "test_good": ("passed", ["passed"]),
        "test_inverted": ("failed", ["failed"]),
        "test_unclear": ("broken", ["inconclusive"]),
        "test_fixture": ("broken", ["broken"]),
        "test_way_out": ("broken", ["broken"]),
        "test_timed_out": ("broken", ["broken"]),
        "test_absent": ("skipped", ["skipped"]),
    }


def test_the_message_is_the_sentence_and_an_inconclusive_says_so_first(results: dict[str, dict[str, Any]]) -> None:
    failed = results["test_inverted"]["statusDetails"]["message"]
    assert failed.startswith("pack_current while charging: -20.000 A ± 0.030 A, expected +19.800 to +20.200 A")
    assert "is the sign inverted?" in failed
    assert results["test_unclear"]["statusDetails"]["message"].startswith("Inconclusive: ")
    assert results["test_way_out"]["statusDetails"]["message"] == "the output may be on"
    assert "statusDetails" not in results["test_good"]


def test_standard_function_and_requirement_are_epic_feature_and_story(results: dict[str, dict[str, Any]]) -> None:
    for result in results.values():
        assert labels(result, "epic") == ["GB/T 36276-2023"]
        assert labels(result, "feature") == ["current sign"]
        assert labels(result, "story") == labels(result, "requirement") == ["GBT36276-5.6.5"]
        assert labels(result, "severity") == ["critical"]
        assert labels(result, "env") == ["foxbms_2"]
        assert [(link["type"], link["name"]) for link in result["links"]] == [("requirement", "GBT36276-5.6.5")]


def test_the_case_number_is_written_for_selecting_and_for_the_history(results: dict[str, dict[str, Any]]) -> None:
    assert labels(results["test_good"], "as_id") == labels(results["test_good"], "ALLURE_ID") == ["TC-test_good"]


def test_the_title_survives_the_fixtures(results: dict[str, dict[str, Any]]) -> None:
    assert results["test_good"]["name"] == "Charging at 20 A is reported as charging, test_good"


def test_every_test_of_a_simulated_run_says_so_in_tag_and_description(results: dict[str, dict[str, Any]]) -> None:
    for result in results.values():
        assert "SIMULATED" in labels(result, "tag")
        assert "SIMULATED" in result["descriptionHtml"]


def test_the_description_holds_plot_and_measurements(results: dict[str, dict[str, Any]]) -> None:
    text = results["test_inverted"]["descriptionHtml"]
    assert text.index("FAILED (the product)") < text.index("data:image/svg+xml;base64,") < text.index("<table")
    for cell in (
        "pack_current while charging",
        "-20.000 A",
        "0.030 A",
        "+19.800 to +20.200 A",
        "FAIL",
        "meter +20.003 A",
    ):
        assert cell in text


def test_steps_read_like_a_lab_book_and_belong_to_the_test(results: dict[str, dict[str, Any]]) -> None:
    assert step_names(results["test_inverted"]["steps"]) == [
        "charge at 20 A   (1.000 s)",
        "  mark: stimulus   (5.000 s)",
        "  pack_current while charging: -20.000 A ± 0.030 A, expected +19.800 to +20.200 A "
        "(reference: meter +20.003 A)",
        "  charging is set: yes, expected yes",
    ]
    judged = results["test_inverted"]["steps"][0]["steps"][1]
    assert judged["status"] == "failed"
    assert judged["attachments"][0]["name"] == "what it looks like"


def test_no_step_is_left_open_when_an_exception_flies(results: dict[str, dict[str, Any]]) -> None:
    for result in results.values():
        for step in result.get("steps", []):
            assert step["stop"] >= step["start"]


def test_measured_values_stay_out_of_the_history(results: dict[str, dict[str, Any]]) -> None:
    (parameter,) = results["test_good"]["parameters"]
    assert (parameter["name"], parameter["value"], parameter["excluded"]) == ("reference", "+20.003 A", True)
    assert len({result["historyId"] for result in results.values()}) == len(results)


def test_evidence_is_attached_plot_first(small_run: RunFolder, results: dict[str, dict[str, Any]]) -> None:
    attached = results["test_good"]["attachments"]
    assert [one["name"] for one in attached] == [
        *("plot", "measurements", "trace.csv", "judgements.jsonl", "bdf.csv"),
        *("instrument dialogue", "CAN frames (candump)"),
    ]
    assert [one["type"] for one in attached][:3] == ["image/svg+xml", "text/html", "text/csv"]
    frames = (small_run.allure_results / attached[-1]["source"]).read_text()
    assert frames.count("\n") == 400


def test_the_way_out_is_a_step_of_the_teardown(small_run: RunFolder) -> None:
    containers = [json.loads(path.read_text()) for path in small_run.allure_results.glob("*-container.json")]
    afters = [
        name for one in containers for after in one.get("afters", []) for name in step_names(after.get("steps", []))
    ]
    assert "safe state: outputs off, reference current +0.000 A   (20.000 s)" in afters


def test_evidence_too_large_to_embed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reports import allure as ours

    attached: list[tuple[Any, str]] = []

    def attach(body: Any, name: str, kind: Any) -> None:
        attached.append((body, name))

    attach.attachment_type = ours.allure.attachment_type
    monkeypatch.setattr(ours.allure, "attach", attach)
    ours.AllureObserver()._attach("trace.csv", b"x" * (ours.ATTACH_LIMIT + 1), "CSV", tmp_path / "trace.csv")
    assert attached == [
        (
            "150001 bytes, too many to embed: the whole lies at trace.csv in the run's folder\n",
            "trace.csv (where it lies)",
        )
    ]
