"""The demonstration's surroundings: data that is served, a front end, and a mailbox; all below UDECDASH_HOME."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from udecdash_updater.demo import dap_api, mail_sink
from udecdash_updater.demo.prepare import prepare, prepare_dap

ADMINISTRATOR = "administrator@example.cl"
_INDEX = """\
<!doctype html>
<html lang="es"><head><meta charset="utf-8"><title>UDECDash</title></head>
<body><h1>UDECDash</h1><p>The dashboard of the demonstration. El tablero de la demostración.</p></body></html>
"""
_START_SECONDS = 30
_FAREWELL = {
    "en": """
The mail that {administrator} got:

{mail}
This was night {night} of a made-up university. What to look at next:
  - the next night, which loads only what is new:  {again}
  - the front end, its page back in place:         {front_end}
  - the report of the night, for a browser:        {report}
  - every mail that was sent:                      {mails}
  - the data as it was downloaded:                 {data}
  - the servers' logs and data:                    {home}
  - your own site: copy main_example.py to main.py and fill it in (README.md, "In production")
""",
    "es": """
El correo que recibió {administrator}:

{mail}
Esta fue la noche {night} de una universidad inventada. Qué mirar ahora:
  - la noche siguiente, que carga solo lo nuevo:   {again}
  - el front end, con su página de vuelta:         {front_end}
  - el informe de la noche, para un navegador:     {report}
  - cada correo que se envió:                      {mails}
  - los datos tal como se descargaron:             {data}
  - registros y datos de los servidores:           {home}
  - su propio sitio: copie main_example.py como main.py y llénelo (README.es.md, «En producción»)
""",
}


@dataclass(frozen=True, slots=True)
class Site:
    """What was set up: the night served, the settings that lead to it, the folders to look into."""

    night: int
    values: dict[str, Any]
    front_end: Path
    mails: Path


@contextlib.contextmanager
def opened(home: Path, *, dap: bool = False) -> Iterator[Site]:
    """Serve the next night of a made-up university and take mail, until the block ends.

    `dap`: as Canvas Data 2, by a stand-in for its API; else as a dump, by a stand-in for canvasDataCli.
    `values` of the Site are settings by their attribute names: paths, command, front end, mail server.
    """
    front_end, mails = home / "demo" / "frontend", home / "demo" / "mails"
    front_end.mkdir(parents=True, exist_ok=True)
    if not any((front_end / name).exists() for name in ("index.html", "index-original.html")):
        (front_end / "index.html").write_text(_INDEX, encoding="utf-8")
    source = _dap(home / "demo") if dap else _canvas_data_cli(home / "demo")
    sink = _program(mail_sink.__name__, mails, mails / "port")
    with source as (night, data), sink as port:
        values = data | {
            "frontend_dir": front_end,
            "smtp_host": "127.0.0.1",
            "smtp_port": port,
            "notification_emails": (ADMINISTRATOR,),
            "notify_on": "always",
            "report_dir": home / "demo" / "report",
        }
        yield Site(night, values, front_end, mails)


@contextlib.contextmanager
def _canvas_data_cli(folder: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    prepared = prepare(folder)
    yield (
        prepared.night,
        {
            "path_data_files": prepared.data_files,
            "path_canvas_config": prepared.canvas_config,
            "server_canvas_data_cli_command_path": str(prepared.command),
            "clear_directories_before_download": True,
        },
    )


@contextlib.contextmanager
def _dap(folder: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    prepared = prepare_dap(folder)
    # No limits: a demonstration that keeps them takes four minutes.
    with _program(dap_api.__name__, prepared.served, folder / "dap" / "port", "--minute", "0") as port:
        yield (
            prepared.night,
            {
                "path_data_files": prepared.data_files,
                "dap_api_url": f"http://127.0.0.1:{port}",
                "dap_client_id": "demonstration",
                "dap_client_secret": SecretStr("demonstration"),
                "dap_jobs_per_minute": 1000,
            },
        )


@contextlib.contextmanager
def _program(module: str, folder: Path, port_file: Path, *arguments: str) -> Iterator[int]:
    """Run a server of ours on `folder` until the block ends; yields the port that it writes into `port_file`."""
    folder.mkdir(parents=True, exist_ok=True)
    port_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", module, "--folder", str(folder), "--port-file", str(port_file), *arguments]
    # Standard output is for the answer of the command that we are in.
    program = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        limit = time.monotonic() + _START_SECONDS
        while not port_file.exists() and program.poll() is None and time.monotonic() < limit:
            time.sleep(0.02)
        yield int(port_file.read_text(encoding="ascii"))
    finally:
        program.terminate()
        program.wait()


def farewell(site: Site, home: Path, language: str) -> str:
    """What the demonstration ends with, in 'es' or 'en': the mail of the night, and what to look at next."""
    newest = max(site.mails.glob("*.eml"), default=None)
    words = _FAREWELL[language]
    return words.format(
        administrator=ADMINISTRATOR,
        mail=mail_sink.show(newest) if newest else "-\n",
        night=site.night,
        again="make demo SOURCE=dap" if "dap_api_url" in site.values else "make demo",
        front_end=site.front_end / "index.html",
        report=site.values["report_dir"] / "index.html",
        mails=site.mails,
        data=site.values["path_data_files"],
        home=home,
    )
