"""Build Allure's report as one HTML file that asks nothing of the network.

Allure 3.18 puts an analytics script into its reports and has no switch for it. It is cut out here (exactly one
match, otherwise the report is refused), and a content-security policy forbids all other outside requests.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.errors import BenchError
from reports.allure_config import config_text
from reports.environment import report_name, write_environment
from reports.run_folder import RunFolder, write_text
from reports.run_record import read_record

ROOT = Path(__file__).parent.parent
NODE_VERSION = 20
TIMEOUT_S = 300.0
ANALYTICS = re.compile(
    r'<script[^>]*\ssrc="https://www\.googletagmanager\.com/[^"]*"[^>]*>\s*</script>\s*<script>(?:(?!</script>).)*?'
    r"dataLayer(?:(?!</script>).)*</script>",
    re.DOTALL,
)
# Scripts, styles and attachments are inside the file: inline, data: or blob:. Nothing else may be fetched.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "style-src 'unsafe-inline' data: blob:; "
    "img-src data: blob:; font-src data:; media-src data: blob:; connect-src data: blob:; frame-src data: blob:; "
    "worker-src data: blob:; form-action 'none'"
)


def build_allure(folder: RunFolder, *, say: Callable[[str], None] = lambda text: None, tools: Path = ROOT) -> Path:
    """Build `report.html` of a run and return its path. `tools` holds `node_modules`.

    Raises:
        BenchError: no results, no Node.js, no Allure, or Allure did not do what it did when this was written.
    """
    results = folder.allure_results
    if not any(results.glob("*-result.json")):
        raise BenchError(f"{results}: holds no Allure results, so there is nothing to draw")
    node, cli = find_allure(tools)
    record = read_record(folder)
    name = report_name(record)
    if not (results / "environment.properties").is_file():
        write_environment(record, results)  # a run that ended wrote it already, and its manifest knows it
    say("drawing the Allure report")
    with tempfile.TemporaryDirectory(prefix="bmsbench-report-") as scratch:
        output = Path(scratch) / "report"
        config = Path(scratch) / "allurerc.mjs"
        config.write_text(config_text(name, output), encoding="utf-8")
        command = [node, str(cli), "generate", str(results.resolve()), "--config", str(config)]
        _run(command, Path(scratch))
        page = output / "index.html"
        if not page.is_file():
            raise BenchError(f"Allure wrote no index.html for {results}; its version should be 3.18.0")
        text = page.read_text(encoding="utf-8")
    text = close_off(text)
    if record.simulated:
        text = _banner(text)
    try:
        write_text(folder.report_html, text)
    except OSError as problem:
        raise BenchError(f"{folder.report_html}: cannot be written: {problem.strerror or problem}") from problem
    return folder.report_html


def close_off(page: str) -> str:
    """Cut the analytics script out of a report and forbid requests to the outside.

    Raises:
        BenchError: the script is not there exactly once, or something else would be fetched.
    """
    page, cut = ANALYTICS.subn("", page)
    if cut != 1 or "googletagmanager" in page:
        raise BenchError(
            f"the Allure report holds {cut} analytics scripts of the known form where exactly 1 was expected; this "
            "Allure is another than 3.18.0, and its report is not kept. Run 'python3 dev.py setup'"
        )
    fetched = re.search(r'<(?:script|link|iframe|img)\b[^>]*\s(?:src|href)="(?:https?:)?//[^"]*"', page)
    if fetched:
        raise BenchError(f"the Allure report would fetch {fetched[0][:120]!r}; it is not kept")
    head = "<head>"
    if page.count(head) != 1:
        raise BenchError("the Allure report has no <head> where the content-security policy could stand")
    return page.replace(head, f'{head}\n    <meta http-equiv="Content-Security-Policy" content="{POLICY}">')


def find_allure(tools: Path) -> tuple[str, Path]:
    """Return the Node.js program and Allure's command line script.

    Raises:
        BenchError: one of them is missing or too old, with what to do.
    """
    advice = f"install Node.js {NODE_VERSION} or newer and run 'python3 dev.py setup'; the results are kept"
    node = shutil.which("node")
    if node is None:
        raise BenchError(f"Node.js is not on the path, and Allure needs it: {advice}")
    try:
        told = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
        major = int(told.strip().removeprefix("v").split(".")[0])
    except (OSError, ValueError, subprocess.SubprocessError) as problem:
        raise BenchError(f"{node}: does not tell its version ({problem}): {advice}") from None
    if major < NODE_VERSION:
        raise BenchError(f"{node}: is version {told.strip()}, too old for Allure: {advice}")
    cli = tools / "node_modules" / "allure" / "cli.js"
    if not cli.is_file():
        raise BenchError(f"Allure is not installed in {tools / 'node_modules'}: {advice}")
    return node, cli


def _run(command: list[str], folder: Path) -> None:
    # `CI` would make Allure ask git and the CI system for names; NO_COLOR keeps its messages readable.
    environment = {key: value for key, value in os.environ.items() if key not in ("CI", "NODE_OPTIONS")}
    environment["NO_COLOR"] = "1"
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"Allure did not finish within {TIMEOUT_S:.0f} s; the results are kept") from None
    except OSError as problem:
        raise BenchError(f"Allure cannot be started: {problem}") from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()
        raise BenchError(f"Allure ended with {done.returncode} and said: {' / '.join(said[-4:])}")


def _banner(page: str) -> str:
    """Let each page of a simulated run say so, whatever is scrolled or opened."""
    mark = (
        '<div role="note" style="position:fixed;left:0;bottom:0;z-index:99999;'
        "pointer-events:none;padding:.2em 1em;border-radius:0 .6em 0 0;font:700 13px/1.5 system-ui,sans-serif;"
        'letter-spacing:.2em;color:#78350f;background:#fde68a">SIMULATED</div>'
    )
    return page.replace("</body>", f"{mark}\n</body>", 1) if page.count("</body>") == 1 else _no_body(page)


def _no_body(page: str) -> str:
    raise BenchError(f"the Allure report has {page.count('</body>')} ends of its body; SIMULATED cannot be put there")
