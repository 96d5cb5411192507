"""The API over HTTP/1.1, a thread a connection."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .answers import Answer
from .api import Api, Request, Rules


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs: its address, and every request that came, as `POST /path 200`."""

    url: str
    seen: list[str] = field(default_factory=list)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a client that keeps its connection open would hold us


class _Handler(BaseHTTPRequestHandler):
    """Reads a request, writes the answer."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments: object, api: Api, seen: list[str]) -> None:
        self._api = api
        self._seen = seen
        super().__init__(*arguments)  # type: ignore[arg-type] # socketserver's own

    def do_GET(self) -> None:
        """Answer."""
        self._do()

    def do_POST(self) -> None:
        """Answer."""
        self._do()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what came is in `seen`."""

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        base = f"http://{self.headers.get('Host')}"
        answer = self._api.answer(Request(self.command, self.path, headers, body, base))
        self._seen.append(f"{self.command} {self.path.partition('?')[0]} {answer.status}")
        with contextlib.suppress(ConnectionError):
            self._send(answer)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.counted:
            self.send_header("Content-Length", str(len(answer.body)))
        if answer.cut is not None or not answer.counted:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body[: answer.cut])
        if self.close_connection:
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def running(folder: Path, rules: Rules | None = None, port: int = 0) -> Iterator[Running]:
    """Serve `folder` on 127.0.0.1 until the block ends; port 0 is any free one."""
    with tempfile.TemporaryDirectory(prefix="dap-api-") as work:
        api = Api(folder, Path(work), rules or Rules())
        seen: list[str] = []
        with _Server(("127.0.0.1", port), partial(_Handler, api=api, seen=seen)) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
            thread.start()
            try:
                yield Running(f"http://127.0.0.1:{server.server_port}", seen)
            finally:
                api.stopped.set()
                server.shutdown()
                thread.join()
