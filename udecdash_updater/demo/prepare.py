"""What the demonstration needs of Canvas: a dump served, a config.js, and a canvasDataCli to run.

Each call serves the next night, so that the second demonstration is the night after the first.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from udecdash_updater.demo.university import generate

STAND_IN = Path(__file__).resolve().parent / "canvas_data_cli"
KEPT_NIGHTS = 2
_CONFIG = """\
// Written by the demonstration: the stand-in of canvasDataCli reads its dumps from a folder, not from the network.
module.exports = {{
  saveLocation: './dataFiles',
  unpackLocation: './unpackedFiles',
  apiUrl: '{served}',
  key: process.env.CD_API_KEY || 'demonstration',
  secret: process.env.CD_API_SECRET || 'demonstration'
}}
"""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Night `night` is served: PATH_CANVAS_CONFIG, PATH_DATA_FILES, the command, and the truth about the dump."""

    night: int
    canvas_config: Path
    data_files: Path
    command: Path
    truth: Path


def prepare(
    home: Path, *, seed: int = 7, students: int = 120, courses: int = 8, requests: int = 6000, days: int = 14
) -> Prepared:
    """Make the next night of a small university and all that is needed to download it, below `home`."""
    served, canvas = home / "served", home / "canvas"
    for folder in (served, canvas):
        folder.mkdir(parents=True, exist_ok=True)
    for half_made in served.glob(".night*"):
        shutil.rmtree(half_made)
    night = max(_nights(served), default=0) + 1
    making = Path(tempfile.mkdtemp(prefix=f".night{night}-", dir=served))
    generate(making, seed=seed, night=night, students=students, courses=courses, requests=requests, days=days)
    making.chmod(0o755)
    making.rename(served / f"night{night}")  # only whole nights are ever served
    for old in _nights(served)[:-KEPT_NIGHTS]:
        shutil.rmtree(served / f"night{old}")
    (canvas / "config.js").write_text(
        _CONFIG.format(served="file://" + quote(str(served.absolute()))), encoding="utf-8"
    )
    truth = served / f"night{night}" / "truth.json"
    return Prepared(night, canvas, canvas / "dataFiles", write_command(home / "bin" / "canvasDataCli"), truth)


def write_command(path: Path) -> Path:
    """Write an executable at `path` that runs the stand-in with this Python. Returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(STAND_IN))} "$@"\n')
    part.chmod(0o755)
    return part.replace(path)


def _nights(served: Path) -> list[int]:
    return sorted(int(found[1]) for path in served.iterdir() if (found := re.fullmatch(r"night(\d+)", path.name)))
