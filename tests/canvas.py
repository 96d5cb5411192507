"""A little dump, served by the stand-in of canvasDataCli, as tests of the download set it up."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from udecdash_updater.demo.prepare import write_command
from udecdash_updater.settings import Settings

COLUMNS = ["id", "name"]
Files = Mapping[str, bytes]
NIGHT_1: Mapping[str, Files] = {
    "course_dim": {"course_dim-00000-aaaaaaaa.gz": gzip.compress(b"1\tAlgebra\n")},
    "user_dim": {
        "user_dim-00000-ffffffff.gz": gzip.compress(b"1\tAna\n2\tLuis\n"),
        "user_dim-00001-bbbbbbbb.gz": gzip.compress(b"3\tEva"),
    },
    "requests": {f"requests-0000{n}-0000000{n}.gz": gzip.compress(b"%d\tGET\n" % n) for n in range(8)},
}


@dataclass(frozen=True)
class Canvas:
    """A served folder, the folder of config.js, and the command."""

    home: Path
    command: Path

    @property
    def served(self) -> Path:
        return self.home / "served"

    @property
    def folder(self) -> Path:
        return self.home / "canvas"

    @property
    def data_files(self) -> Path:
        return self.folder / "dataFiles"

    @property
    def unpacked(self) -> Path:
        return self.folder / "unpackedFiles"

    def serve(self, number: int, tables: Mapping[str, Files]) -> None:
        """Put a dump there to be served."""
        night = self.served / f"night{number}" / "dataFiles"
        for table, files in tables.items():
            (night / table).mkdir(parents=True)
            for name, content in files.items():
                (night / table / name).write_bytes(content)
        (night / "schema.json").write_text(schema(*tables, "quiz_dim"), encoding="utf-8")

    def faults(self, *faults: Mapping[str, Any]) -> None:
        """Let these faults happen from now on."""
        (self.served / "faults.json.state").unlink(missing_ok=True)
        (self.served / "faults.json").write_text(json.dumps(faults))

    def configure(self, text: str) -> None:
        """Write config.js."""
        (self.folder / "config.js").write_text(text, encoding="utf-8")

    def run(self, *arguments: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the stand-in as a person would, and see how it ends."""
        done = subprocess.run(
            [str(self.command), *arguments],
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "CANVAS_STANDIN_RETRY_MS": "1", **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == code, done.stderr
        return done

    def on_disk(self) -> dict[str, bytes]:
        """Every file under dataFiles but schema.json."""
        files = (path for path in self.data_files.rglob("*") if path.is_file() and path.name != "schema.json")
        return {str(path.relative_to(self.data_files)): path.read_bytes() for path in files}

    def settings(self, **more: Any) -> Settings:  # noqa: ANN401 - whatever a setting takes
        """Settings of a download from here; nothing else is set."""
        given: dict[str, Any] = {
            "path_data_files": self.data_files,
            "path_canvas_config": self.folder,
            "server_canvas_data_cli_command_path": str(self.command),
            "download_attempts": 1,
            "download_timeout": 60,
        }
        return Settings(**{**given, **more})


def listed(tables: Mapping[str, Files]) -> dict[str, bytes]:
    """What a full copy of `tables` holds."""
    return {f"{table}/{name}": content for table, files in tables.items() for name, content in files.items()}


def schema(*tables: str) -> str:
    """A schema.json of tables with two columns."""
    entries = {
        table.removesuffix("_dim"): {"tableName": table, "columns": [{"name": n, "type": "varchar"} for n in COLUMNS]}
        for table in tables
    }
    return json.dumps({"version": "4.2.6", "schema": entries})


def make_canvas(home: Path) -> Canvas:
    """The first night served under `home`, a config.js, and the command as an executable."""
    for folder in (home / "canvas", home / "served"):
        folder.mkdir(parents=True)
    canvas = Canvas(home, write_command(home / "bin" / "canvasDataCli"))
    canvas.configure(
        "module.exports = {\n  saveLocation: './dataFiles', // here\n  unpackLocation: './unpackedFiles',\n"
        f"  apiUrl: 'file://{canvas.served}',\n"
        "  key: process.env.CD_API_KEY || 'the-key-of-the-api',\n  secret: 'the-secret-of-the-api'\n}\n"
    )
    canvas.serve(1, NIGHT_1)
    return canvas
