"""The Allure report is one file that asks nothing of the network, and says SIMULATED on every page."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from bench.errors import BenchError
from reports import html
from reports.allure_config import config_text
from reports.html import build_allure, close_off, find_allure
from reports.run_folder import RunFolder

ANALYTICS = """
    <script async src="https://www.googletagmanager.com/gtag/js?id=G-X"></script>
    <script>
        window.dataLayer = window.dataLayer || [];
        gtag('config', 'G-X', { "report": "awesome" });
    </script>
"""
LEAF = "`[data-testid=tree-leaf]`"
PAGE = "<html><head>\n<title>x</title></head><body><script>window.allure = 1;</script>%s</body></html>"


@pytest.fixture
def run(small_run: RunFolder, tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(small_run.path, tmp_path / "run")))


def without_data(addresses: list[str]) -> list[str]:
    return [address for address in addresses if not address.startswith(("data:", "blob:"))]


def test_the_analytics_script_is_cut_out_and_a_policy_put_in() -> None:
    page = close_off(PAGE % ANALYTICS)
    assert "google" not in page and "dataLayer" not in page
    assert "window.allure = 1" in page
    assert page.index("Content-Security-Policy") < page.index("<title>")


@pytest.mark.parametrize("inside", ["", ANALYTICS * 2, ANALYTICS.replace("googletagmanager", "elsewhere")])
def test_a_report_of_another_allure_is_refused(inside: str) -> None:
    with pytest.raises(BenchError, match="where exactly 1 was expected"):
        close_off(PAGE % inside)


def test_a_report_that_would_fetch_something_else_is_refused() -> None:
    with pytest.raises(BenchError, match=r"would fetch .*example\.invalid"):
        close_off(PAGE % (ANALYTICS + '<link rel="icon" href="//example.invalid/x.png">'))


def test_inconclusive_has_its_own_category_before_broken() -> None:
    text = config_text("SIMULATED · x", Path("out"))
    assert text.index("Inconclusive: the bench cannot tell") < text.index("Bench: broken")
    assert '"singleFile": true' in text


def test_without_node_it_says_what_to_do(run: RunFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BenchError, match=r"install Node\.js 20 or newer and run 'python3 dev\.py setup'"):
        build_allure(run)
    assert not run.report_html.exists()


@pytest.mark.skipif(shutil.which("sh") is None, reason="the stand-in for node is a shell script")
def test_an_old_node_is_named_with_its_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho v16.3.0\n")
    node.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BenchError, match=r"version v16\.3\.0, too old"):
        find_allure(tmp_path)


def test_a_checkout_without_allure_says_what_to_do(tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("no Node.js on this machine")
    with pytest.raises(BenchError, match=r"Allure is not installed .*dev\.py setup"):
        find_allure(tmp_path)


def test_a_run_without_results_has_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="holds no Allure results"):
        build_allure(RunFolder(tmp_path))


def test_a_hanging_allure_is_ended(run: RunFolder, allure_tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "TIMEOUT_S", 0.05)
    with pytest.raises(BenchError, match="did not finish"):
        build_allure(run, tools=allure_tools)


def test_the_report_is_one_file_and_names_the_run(run: RunFolder, allure_tools: Path) -> None:
    said: list[str] = []
    path = build_allure(run, say=said.append, tools=allure_tools)
    text = path.read_text("utf-8")
    assert path == run.report_html
    assert re.search(r"<title>\s*SIMULATED · foxbms_2 on virtual", text)
    assert said == ["drawing the Allure report"]
    assert "simulated=YES, SIMULATED" in (run.allure_results / "environment.properties").read_text("utf-8")


def test_the_probe_sees_a_page_that_asks_the_outside(page: Any, tmp_path: Path) -> None:
    leaky = tmp_path / "leaky.html"
    leaky.write_text('<body><img src="https://example.invalid/x.png"></body>')
    page.open(leaky.as_uri())
    page.until("document.images[0]?.complete")
    assert "https://example.invalid/x.png" in page.requests()


def test_no_page_of_the_report_asks_the_outside_and_each_says_simulated(
    run: RunFolder, allure_tools: Path, page: Any
) -> None:
    report = build_allure(run, tools=allure_tools)
    page.open(report.as_uri())
    assert page.until("document.body.innerText.includes('SIMULATED · foxbms_2 on virtual')")
    links = page.until(f"document.querySelectorAll({LEAF}).length")
    assert links == 7
    # The description of a test lives in a frame of its own.
    shown = "document.querySelector('iframe')?.contentDocument"
    for number in range(links):
        page.evaluate("location.hash = ''")
        assert page.until(f"document.querySelectorAll({LEAF}).length") == links
        page.evaluate(f"document.querySelectorAll({LEAF})[{number}].click()")
        assert page.until(f"{shown}?.images[0]?.naturalWidth > 0"), "the plot is not shown"
        assert "SIMULATED: virtual instruments" in page.evaluate(f"{shown}.body.innerText")
        text = page.evaluate("document.body.innerText")
        assert "Charging at 20 A is reported as charging" in text
        assert text.rstrip().endswith("SIMULATED")  # the mark that never scrolls away
    assert without_data(page.requests()) == [report.as_uri()]
