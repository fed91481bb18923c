"""Draw the README's two pictures again from a demonstration that has just run (needs chromium and a POSIX terminal).

.venv/bin/python docs/images/make_pictures.py
"""

import base64
import contextlib
import io
import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "reports"))
TEST = "A charge current is reported as charge, and by the right amount (10 % level)"
LEAF = "`[data-testid=tree-leaf]`"


def captured_demo() -> str:
    """Run the demonstration on a terminal of its own and return what was left standing on it."""
    chunks: list[bytes] = []

    def read(handle: int) -> bytes:
        chunks.append(os.read(handle, 4096))
        return chunks[-1]

    python = str(Path(sys.executable))
    with contextlib.chdir(ROOT):
        status = pty.spawn([python, "-P", "-m", "bmsbench", "demo"], read)
    assert status == 0, f"the demonstration ended with {status}"
    lines = []
    for line in b"".join(chunks).decode().replace("\r\n", "\n").split("\n"):
        standing = line.rpartition("\r")[2]  # what overwrites the live line
        lines.append(standing.rstrip())
    text = "\n".join(lines).strip("\n")
    return re.sub(r"\n{3,}", "\n\n", text)


def draw_terminal(text: str) -> None:
    """Write the terminal's picture; no font is fetched from anywhere."""
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=116, file=io.StringIO(), force_terminal=True)
    console.print("[bold]$ python3 dev.py demo[/bold]")
    console.print(Text.from_ansi(text))
    svg = console.export_svg(title="bmsbench")
    svg = re.sub(r"@font-face\s*{.*?}", "", svg, flags=re.DOTALL)
    (HERE / "terminal.svg").write_text(svg.replace("Fira Code", "DejaVu Sans Mono"), encoding="utf-8")


def draw_report(demo: Path) -> None:
    """Photograph the page of one failed test in the Allure report of a demonstration."""
    from browser import open_browser  # the headless Chromium of the report's own tests

    with tempfile.TemporaryDirectory() as profile, open_browser(Path(profile)) as page:
        page.call("Emulation.setDeviceMetricsOverride", width=1060, height=1180, deviceScaleFactor=1, mobile=False)
        page.open((demo / "2-inverted-sign" / "report.html").as_uri(), settle_s=3.0)
        page.until(f"document.querySelectorAll({LEAF}).length")
        page.evaluate(f"[...document.querySelectorAll({LEAF})].find(e => e.innerText.includes({TEST!r})).click()")
        page.until("document.querySelector('iframe')?.contentDocument?.images[0]?.naturalWidth > 0")
        page.wait(1.0)
        assert "Product: the BMS did the wrong thing" in page.evaluate("document.body.innerText")
        picture = page.call("Page.captureScreenshot", format="png")["data"]
    (HERE / "report.png").write_bytes(base64.b64decode(picture))


if __name__ == "__main__":
    subprocess.run(["chromium", "--version"], check=True, stdout=subprocess.DEVNULL)
    text = captured_demo()
    draw_terminal(text)
    draw_report(ROOT / Path(re.search(r"^report\s+(\S+)", text, re.MULTILINE)[1]).parent)
