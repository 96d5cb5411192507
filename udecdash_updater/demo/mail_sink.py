"""A mail server that delivers nothing: it takes every mail, and keeps it as a file that one can read.

python -m udecdash_updater.demo.mail_sink --folder mails --port-file mails/port
python -m udecdash_updater.demo.mail_sink --folder mails --show
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the extra `embedded` has it; a site that runs no demonstration does without
    from aiosmtpd.smtp import SMTP, Envelope, Session

_READABLE = policy.SMTPUTF8.clone(linesep="\n", cte_type="8bit")


class Sink:
    """aiosmtpd's handler: each mail becomes 0001.eml, 0002.eml, ... in `folder`, with the recipients it was for."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep the mail."""
        content = envelope.content
        keep(self._folder, content if isinstance(content, bytes) else (content or "").encode(), envelope.rcpt_tos)
        return "250 OK, kept and not delivered"


def keep(folder: Path, content: bytes, recipients: Sequence[str]) -> Path:
    """Write a mail as a readable .eml: text as UTF-8 and not encoded. Returns its path."""
    message = parse(content)
    for part in message.walk():
        if part.get_content_maintype() == "text":
            part.set_content(part.get_content(), subtype=part.get_content_subtype(), cte="8bit")
    for recipient in recipients:
        message["Delivered-To"] = recipient
    path = folder / f"{len(list(folder.glob('*.eml'))) + 1:04}.eml"
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(message.as_bytes(policy=_READABLE))
    return unfinished.rename(path)


def parse(content: bytes) -> EmailMessage:
    """A mail's bytes as a message of the modern kind."""
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)  # noqa: S101 - the policy makes it one
    return message


def show(path: Path) -> str:
    """A kept mail as its reader sees it: who, when, what about, and its text."""
    message = parse(path.read_bytes())
    head = [f"{name}: {message[name]}" for name in ("From", "To", "Date", "Subject") if message[name]]
    body = message.get_body(("plain", "html"))
    return "\n".join([*head, "", body.get_content() if body else ""])


async def listen(handler: object, host: str = "127.0.0.1", port: int = 0, **options: Any) -> asyncio.Server:  # noqa: ANN401 - aiosmtpd's own options
    """Serve SMTP with `handler` on a free port (0) or the given one; `tls` in `options` makes it SMTPS."""
    from aiosmtpd.smtp import SMTP  # noqa: PLC0415 - as above

    loop = asyncio.get_running_loop()
    tls = options.pop("tls", None)
    options.setdefault("hostname", "localhost")
    return await loop.create_server(lambda: SMTP(handler, loop=loop, **options), host, port, ssl=tls)


def port_of(server: asyncio.Server) -> int:
    """The port that a server was given."""
    return int(server.sockets[0].getsockname()[1])


async def _serve(folder: Path, port: int, port_file: Path | None) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with await listen(Sink(folder), port=port) as server:
        if port_file:
            unfinished = port_file.with_suffix(".part")
            unfinished.write_text(f"{port_of(server)}\n", encoding="ascii")
            unfinished.rename(port_file)  # whoever waits for the file reads a whole number
        sys.stdout.write(f"mail sink on 127.0.0.1 port {port_of(server)}, mails in {folder}\n")
        sys.stdout.flush()
        await stop.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command: serve until TERM, or show the mails that are there."""
    parser = argparse.ArgumentParser(prog="mail_sink", description="A mail server that keeps what it is sent.")
    parser.add_argument("--folder", type=Path, required=True, help="where the .eml files go")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--port-file", type=Path, help="write the port there once mail can come")
    parser.add_argument("--show", action="store_true", help="write the kept mails to standard output and end")
    given = parser.parse_args(arguments)
    if given.show:
        sys.stdout.write(("\n" + "-" * 72 + "\n").join(show(path) for path in sorted(given.folder.glob("*.eml"))))
        return
    asyncio.run(_serve(given.folder, given.port, given.port_file))


if __name__ == "__main__":
    main()
