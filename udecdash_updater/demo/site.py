"""The demonstration's surroundings: a served dump, a front end, and a mailbox; all below UDECDASH_HOME."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from udecdash_updater.demo import mail_sink
from udecdash_updater.demo.prepare import prepare

ADMINISTRATOR = "administrator@example.cl"
_INDEX = """\
<!doctype html>
<html lang="es"><head><meta charset="utf-8"><title>UDECDash</title></head>
<body><h1>UDECDash</h1><p>The dashboard of the demonstration. El tablero de la demostración.</p></body></html>
"""
_SINK_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Site:
    """What was set up: the night served, the settings that lead to it, the folders to look into."""

    night: int
    values: dict[str, Any]
    front_end: Path
    mails: Path


@contextlib.contextmanager
def opened(home: Path) -> Iterator[Site]:
    """Serve the next night of a made-up university and take mail, until the block ends.

    `values` of the Site are settings by their attribute names: paths, command, front end, mail server.
    """
    prepared = prepare(home / "demo")
    front_end, mails = home / "demo" / "frontend", home / "demo" / "mails"
    front_end.mkdir(parents=True, exist_ok=True)
    if not any((front_end / name).exists() for name in ("index.html", "index-original.html")):
        (front_end / "index.html").write_text(_INDEX, encoding="utf-8")
    with _mailbox(mails) as port:
        values = {
            "path_data_files": prepared.data_files,
            "path_canvas_config": prepared.canvas_config,
            "server_canvas_data_cli_command_path": str(prepared.command),
            "clear_directories_before_download": True,
            "frontend_dir": front_end,
            "smtp_host": "127.0.0.1",
            "smtp_port": port,
            "notification_emails": (ADMINISTRATOR,),
            "notify_on": "always",
        }
        yield Site(prepared.night, values, front_end, mails)


@contextlib.contextmanager
def _mailbox(folder: Path) -> Iterator[int]:
    folder.mkdir(parents=True, exist_ok=True)
    port_file = folder / "port"
    port_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", mail_sink.__name__, "--folder", str(folder), "--port-file", str(port_file)]
    sink = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        limit = time.monotonic() + _SINK_SECONDS
        while not port_file.exists() and sink.poll() is None and time.monotonic() < limit:
            time.sleep(0.02)
        yield int(port_file.read_text(encoding="ascii"))
    finally:
        sink.terminate()
        sink.wait()


def farewell(site: Site, home: Path) -> str:
    """What the demonstration ends with: the mail of the night, and what to look at next."""
    newest = max(site.mails.glob("*.eml"), default=None)
    mail = mail_sink.show(newest) if newest else "No mail was sent.\n"
    return f"""\

The mail that {ADMINISTRATOR} got / El correo que recibió:

{mail}
This was night {site.night} of a made-up university. What to look at next / Qué mirar ahora:
  - the next night, which loads only what is new:  make demo
  - the front end, its page back in place:         {site.front_end / "index.html"}
  - every mail that was sent:                      {site.mails}
  - the dump as canvasDataCli left it:             {site.values["path_data_files"]}
  - the servers' logs and data:                    {home}
  - your own site: copy main_example.py to main.py and fill it in (README.md, "In production")
"""
