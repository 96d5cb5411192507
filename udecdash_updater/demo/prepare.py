"""What the demonstration needs of Canvas: a dump served, and what downloads it.

Each call serves the next night, so that the second demonstration is the night after the first, whatever its source.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from udecdash_updater.demo.canvas_data_2 import tell
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


@dataclass(frozen=True, slots=True)
class PreparedDap:
    """Night `night` is ready to be served by the stand-in of the Data Access Platform, from the folder `served`."""

    night: int
    served: Path
    data_files: Path
    truth: Path


@dataclass(frozen=True, slots=True)
class Size:
    """A small university, as `generate` takes it."""

    seed: int = 7
    students: int = 120
    courses: int = 8
    requests: int = 6000
    days: int = 14


def prepare(home: Path, **size: int) -> Prepared:
    """Make the next night of a small university and all that is needed to download it, below `home`."""
    served, canvas = home / "served", home / "canvas"
    canvas.mkdir(parents=True, exist_ok=True)
    night, making = _begun(home, served)
    generate(making, night=night, **asdict(Size(**size)))
    _served(making, served, night)
    (canvas / "config.js").write_text(
        _CONFIG.format(served="file://" + quote(str(served.absolute()))), encoding="utf-8"
    )
    truth = served / f"night{night}" / "truth.json"
    return Prepared(night, canvas, canvas / "dataFiles", write_command(home / "bin" / "canvasDataCli"), truth)


def prepare_dap(home: Path, **size: int) -> PreparedDap:
    """Make the next night of a small university as Canvas Data 2 tells it, below `home`."""
    served = home / "dap" / "served"
    night, making = _begun(home, served)
    with tempfile.TemporaryDirectory(prefix=".dump-", dir=served) as dump:
        generate(Path(dump), night=night, **asdict(Size(**size)))
        tell(Path(dump) / "dataFiles", making, night)
        shutil.copy(Path(dump) / "truth.json", making / f"night{night}")
    _served(making / f"night{night}", served, night)
    making.rmdir()
    (served / "current").write_text(str(night), encoding="ascii")
    return PreparedDap(night, served, home / "dap" / "dataFiles", served / f"night{night}" / "truth.json")


def _begun(home: Path, served: Path) -> tuple[int, Path]:
    """The next night's number, and a folder to make it in."""
    served.mkdir(parents=True, exist_ok=True)
    for half_made in served.glob(".*"):
        shutil.rmtree(half_made)
    night = max([*_nights(home / "served"), *_nights(home / "dap" / "served")], default=0) + 1
    return night, Path(tempfile.mkdtemp(prefix=f".night{night}-", dir=served))


def _served(made: Path, served: Path, night: int) -> None:
    made.chmod(0o755)
    made.rename(served / f"night{night}")  # only whole nights are ever served
    for old in _nights(served)[:-KEPT_NIGHTS]:
        shutil.rmtree(served / f"night{old}")


def write_command(path: Path) -> Path:
    """Write an executable at `path` that runs the stand-in with this Python. Returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(STAND_IN))} "$@"\n')
    part.chmod(0o755)
    return part.replace(path)


def _nights(served: Path) -> list[int]:
    if not served.is_dir():
        return []
    return sorted(int(found[1]) for path in served.iterdir() if (found := re.fullmatch(r"night(\d+)", path.name)))
