"""`python .../demo/canvas_data_cli sync -c config.js`: run by its own name, without the updater around it."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])
runpy.run_module("canvas_data_cli.cli", run_name="__main__")
