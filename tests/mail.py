"""Real mail servers for tests: aiosmtpd with the manners a test asks for, and bare sockets for the rude ones."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from udecdash_updater.demo import mail_sink

TLS = Path(__file__).parent / "integration" / "tls"
CERTIFICATE = TLS / "cert.pem"


@dataclass
class Mail:
    """One mail as it arrived: the envelope's addresses, the bytes, and whether and as whom it was sent."""

    sender: str
    recipients: list[str]
    content: bytes
    encrypted: bool
    user: str | None

    @property
    def message(self) -> EmailMessage:
        return mail_sink.parse(self.content)

    @property
    def text(self) -> str:
        return self._body("plain")

    @property
    def html(self) -> str:
        return self._body("html")

    def _body(self, kind: str) -> str:
        body = self.message.get_body((kind,))
        assert body is not None
        return str(body.get_content())


@dataclass
class MailServer:
    """A running server: where it listens, what it took, every password it was shown, and what it refuses."""

    host: str
    refuse: dict[str, str] = field(default_factory=dict)  # recipient: answer
    refuse_data: str = ""
    needs_login: bool = False
    port: int = 0
    mails: list[Mail] = field(default_factory=list)
    passwords: list[bytes] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.needs_login and not session.authenticated:
            return "530 5.7.0 log in first"
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        if self.refuse_data:
            return self.refuse_data
        user = session.auth_data.login.decode() if isinstance(session.auth_data, LoginPassword) else None
        assert isinstance(envelope.content, bytes)
        assert envelope.mail_from is not None
        assert server.transport is not None
        encrypted = server.transport.get_extra_info("ssl_object") is not None
        self.mails.append(Mail(envelope.mail_from, envelope.rcpt_tos, envelope.content, encrypted, user))
        return "250 OK"


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, TLS / "key.pem")
    return context


@contextlib.contextmanager
def mail_server(
    host: str = "127.0.0.1",
    *,
    tls: str = "none",
    login: tuple[str, str] | None = None,
    **manners: Any,  # noqa: ANN401 - MailServer's own fields
) -> Iterator[MailServer]:
    """A server with TLS 'none', 'offered', 'demanded' (both STARTTLS) or 'implicit' that wants this login, if any."""
    server = MailServer(host, needs_login=login is not None, **manners)

    def authenticate(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:  # noqa: ANN401 - aiosmtpd's signature
        assert isinstance(data, LoginPassword)
        server.passwords.append(data.password)
        right = login is not None and (data.login.decode(), data.password.decode()) == login
        return AuthResult(success=right, handled=False, auth_data=data)

    options: dict[str, Any] = {"tls": server_context()} if tls == "implicit" else {}
    if tls in ("offered", "demanded"):
        options |= {"tls_context": server_context(), "require_starttls": tls == "demanded"}
    if login:
        needs_tls = tls in ("offered", "demanded")  # aiosmtpd does not count implicit TLS
        options |= {"authenticator": authenticate, "auth_require_tls": needs_tls}
    with _running(server, options):
        yield server


@contextlib.contextmanager
def _running(server: MailServer, options: dict[str, Any]) -> Iterator[None]:
    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(mail_sink.listen(server, server.host, **options))
    server.port = mail_sink.port_of(listening)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(_end(listening), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(listening: asyncio.Server) -> None:
    listening.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@contextlib.contextmanager
def bare_server(talk: Callable[[socket.socket], None], host: str = "127.0.0.1") -> Iterator[int]:
    """A port on which `talk` is let loose on each connection, in a thread of its own; ends with the connections."""
    open_ones: list[socket.socket] = []
    threads: list[threading.Thread] = []
    with socket.create_server((host, 0)) as listening:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    open_ones.append(connection)
                    threads.append(threading.Thread(target=_talk, args=(talk, connection)))
                    threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        accepting.join()
    for connection in open_ones:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join()


def _talk(talk: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        talk(connection)
