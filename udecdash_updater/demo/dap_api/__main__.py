"""python -m udecdash_updater.demo.dap_api --folder F --port N: serve a folder of nights until TERM or Ctrl-C.

The credentials it takes are DAP_CLIENT_ID and DAP_CLIENT_SECRET of its environment, `demonstration` without.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from .api import HELP, Rules
from .server import running


def _arguments() -> argparse.Namespace:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="dap_api", description="A stand-in for the API of Canvas Data 2.", epilog=HELP, formatter_class=formatter
    )
    parser.add_argument("--folder", type=Path, required=True, help="night1, night2, ... and current")
    parser.add_argument("--port", type=int, default=0, help="0 (default): any free one")
    parser.add_argument("--port-file", type=Path, help="the port is written there once it serves")
    parser.add_argument("--part-rows", type=int, default=Rules().part_rows, help="rows in each file")
    parser.add_argument("--minute", type=float, default=60, help="seconds that a minute of the rate limits has")
    parser.add_argument("--token-seconds", type=int, default=Rules().token_seconds, help="how long a token is taken")
    return parser.parse_args()


def main() -> int:
    """Serve. Returns the exit code."""
    asked = _arguments()
    names = ("DAP_CLIENT_ID", "DAP_CLIENT_SECRET")
    client, secret = (os.environ.get(name) or "demonstration" for name in names)
    rules = Rules(
        client_id=client,
        client_secret=secret,
        part_rows=asked.part_rows,
        minute=asked.minute,
        token_seconds=asked.token_seconds,
    )
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with running(asked.folder, rules, asked.port) as server:
        if asked.port_file:
            part = asked.port_file.with_name(asked.port_file.name + ".part")
            part.write_text(server.url.rpartition(":")[2], encoding="ascii")
            part.replace(asked.port_file)
        else:
            sys.stdout.write(f"{server.url}\n")
            sys.stdout.flush()
        ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
