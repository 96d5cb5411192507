"""The report in a real browser, where there is one: nothing is cut off on a phone, and it prints."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.figures import figures_of, write

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--allow-file-access-from-files", "--virtual-time-budget=2000",
)  # fmt: skip
FRAME = """<!doctype html><title>waiting</title><iframe src="{page}" style="width:{width}px;height:900px;border:0"
onload="const root = this.contentDocument.documentElement;
document.title = root.scrollWidth + ' of ' + root.clientWidth"></iframe>"""

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium is installed; tests/unit/test_report_page.py holds")


def browse(profile: Path, *arguments: str) -> str:
    command = [CHROMIUM, *OPTIONS, f"--user-data-dir={profile}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


@pytest.mark.parametrize("width", [360, 1100])
def test_no_page_is_wider_than_its_window(tmp_path: Path, width: int) -> None:
    page = write(tmp_path / "pages", figures_of(60, 4))
    frame = tmp_path / "frame.html"
    frame.write_text(FRAME.format(page=page, width=width), encoding="utf-8")
    shown = browse(tmp_path / "profile", "--window-size=1200,1000", "--dump-dom", f"file://{frame}")
    assert re.findall("<title>(.*?)</title>", shown)[0] == f"{width} of {width}"


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="nothing here reads PDF files")
def test_on_paper_no_column_is_cut_off(tmp_path: Path) -> None:
    page, printed = write(tmp_path / "pages", figures_of(60, 4)), tmp_path / "index.pdf"
    browse(tmp_path / "profile", f"--print-to-pdf={printed}", f"file://{page.with_name('index.html')}")
    told = subprocess.run(["pdftotext", "-layout", printed, "-"], check=True, capture_output=True, text=True).stdout
    [head] = [line for line in told.splitlines() if "Modificadas" in line and "Resultado" in line][:1]
    assert head.split()[-2:] == ["Eliminadas", "Rechazadas"]


def test_a_page_prints(tmp_path: Path) -> None:
    page, printed = write(tmp_path / "pages", figures_of()), tmp_path / "report.pdf"
    browse(tmp_path / "profile", f"--print-to-pdf={printed}", f"file://{page}")
    assert printed.read_bytes().startswith(b"%PDF")
