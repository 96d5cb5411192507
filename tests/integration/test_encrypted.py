"""TLS to PostgreSQL and Redis: what is demanded is kept or the connection ends. (Mail: test_notifier.py.)"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from pydantic import SecretStr

from tests.mail import CERTIFICATE, TLS, bare_server
from tests.support import short_home, until
from udecdash_updater import cluster, db, dispatch
from udecdash_updater.binaries import Account, server_account
from udecdash_updater.errors import DatabaseError
from udecdash_updater.settings import Settings

ANOTHER = TLS / "another.pem"
WRONG_HOST = "127.0.0.3"  # this machine, but the certificate is not made out to it


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def encrypted_postgres() -> Iterator[Settings]:
    """A PostgreSQL that takes TLS on 127.0.0.1 and 127.0.0.3; its password is never asked for."""
    account = server_account()
    with short_home() as home:
        made = cluster.open_cluster(home / "data", account, home / "outside", as_account(account))
        for name in ("cert.pem", "key.pem"):
            shutil.copy(TLS / name, made.data / name)
            (made.data / name).chmod(0o600)
            if account:
                os.chown(made.data / name, account.uid, account.gid)
        settings = Settings(db_host="127.0.0.1", db_port=free_port(), db_name=cluster.DATABASE)
        settings = settings.model_copy(update={"db_username": cluster.DATABASE})
        with listening(made, account, settings.db_port, home), (home / "log").open() as log:
            if not until(lambda: answers(settings)):
                pytest.skip(f"this PostgreSQL has no TLS: {log.read()[-300:]}")
            yield settings


def as_account(account: Account | None) -> list[str]:
    return ["setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups", "--"] if account else []


@contextlib.contextmanager
def listening(made: cluster.Cluster, account: Account | None, port: int, home: Path) -> Iterator[None]:
    (made.data / "pg_hba.conf").write_text("host all all 127.0.0.0/8 trust\n")
    options = {"listen_addresses": f"127.0.0.1,{WRONG_HOST}", "unix_socket_directories": "", "port": str(port)}
    options |= {"ssl": "on", "ssl_cert_file": "cert.pem", "ssl_key_file": "key.pem", "fsync": "off"}
    command = [*as_account(account), str(made.programs.folder / "postgres"), "-D", str(made.data)]
    command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    with (home / "log").open("wb") as log, subprocess.Popen(command, cwd="/", stdout=log, stderr=log) as server:
        try:
            yield
        finally:
            server.send_signal(2)  # a fast shutdown


def answers(settings: Settings) -> bool:
    with contextlib.suppress(psycopg2.Error):
        psycopg2.connect(
            host="127.0.0.1", port=settings.db_port, user=cluster.DATABASE, dbname=cluster.DATABASE, sslmode="require"
        ).close()
        return True
    return False


def demanding(settings: Settings, mode: str = "verify-full", ca: Path = CERTIFICATE, **more: Any) -> Settings:  # noqa: ANN401 - fields
    return settings.model_copy(update={"db_sslmode": mode, "db_sslrootcert": str(ca), **more})


def is_encrypted(settings: Settings) -> bool:
    with db.opened(settings) as connection, connection.cursor() as cursor:
        cursor.execute("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
        return cursor.fetchall() == [(True,)]


def test_postgresql_is_reached_when_authority_and_host_are_right(encrypted_postgres: Settings) -> None:
    for mode in ("prefer", "require", "verify-ca", "verify-full"):
        assert is_encrypted(demanding(encrypted_postgres, mode)), mode


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_postgresql_with_a_certificate_of_another_authority_is_refused(encrypted_postgres: Settings, mode: str) -> None:
    with pytest.raises(DatabaseError, match="certificate verify failed"):
        db.connect(demanding(encrypted_postgres, mode, ANOTHER))


def test_postgresql_under_another_name_is_refused(encrypted_postgres: Settings) -> None:
    with pytest.raises(DatabaseError, match="does not match host name"):
        db.connect(demanding(encrypted_postgres, db_host=WRONG_HOST))


def test_a_file_of_authorities_that_is_missing_is_told(encrypted_postgres: Settings, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="root certificate file"):
        db.connect(demanding(encrypted_postgres, ca=tmp_path / "none.pem"))


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_a_postgresql_without_tls_is_never_talked_to_when_tls_is_demanded(mode: str) -> None:
    with plain_server() as port, pytest.raises(DatabaseError, match="does not support SSL"):
        db.connect(demanding(Settings(db_host="127.0.0.1", db_port=port), mode))


@contextlib.contextmanager
def plain_server() -> Iterator[int]:
    """What a PostgreSQL without TLS answers to the question for it: N; it must hear nothing more."""
    heard: list[bytes] = []

    def talk(client: socket.socket) -> None:
        client.recv(8)
        client.sendall(b"N")
        heard.append(client.recv(100))

    with bare_server(talk) as port:
        yield port
    assert heard
    assert not any(heard)


@contextlib.contextmanager
def encrypted_redis(url: str, host: str = "127.0.0.1") -> Iterator[int]:
    """The suite's Redis behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, TLS / "key.pem")
    path = url.removeprefix("unix://").partition("?")[0]

    def talk(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as outside, socket.socket(socket.AF_UNIX) as inside:
            inside.connect(path)
            back = threading.Thread(target=pump, args=(inside, outside))
            back.start()
            pump(outside, inside)
            inside.shutdown(socket.SHUT_RDWR)
            back.join()

    with bare_server(talk, host) as port:
        yield port


def pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while block := source.recv(65536):
            target.sendall(block)


def redis_at(port: int, query: str, *, host: str = "127.0.0.1", scheme: str = "rediss") -> Settings:
    return Settings(redis_url=SecretStr(f"{scheme}://{host}:{port}/0{query}"))


def test_redis_is_reached_when_authority_and_host_are_right(redis_url: str) -> None:
    with encrypted_redis(redis_url) as port:
        settings = redis_at(port, f"?ssl_ca_certs={CERTIFICATE}")
        assert dispatch.answers(settings) == ""
        with dispatch.redis_of(settings) as client:
            assert client.set("encrypted", "yes")
            assert client.get("encrypted") == b"yes"


@pytest.mark.parametrize("query", [f"?ssl_ca_certs={ANOTHER}", ""], ids=["another authority", "the system's"])
def test_redis_with_a_certificate_of_another_authority_is_refused(redis_url: str, query: str) -> None:
    with encrypted_redis(redis_url) as port:
        assert "CERTIFICATE_VERIFY_FAILED" in str(dispatch.answers(redis_at(port, query)))


def test_redis_under_another_name_is_refused(redis_url: str) -> None:
    with encrypted_redis(redis_url, WRONG_HOST) as port:
        told = str(dispatch.answers(redis_at(port, f"?ssl_ca_certs={CERTIFICATE}", host=WRONG_HOST)))
        assert "CERTIFICATE_VERIFY_FAILED" in told


def test_a_redis_without_tls_is_never_told_the_password_when_tls_is_demanded() -> None:
    heard: list[bytes] = []

    def talk(client: socket.socket) -> None:
        heard.append(client.recv(4096))
        client.sendall(b"-ERR unknown command\r\n")

    with bare_server(talk) as port:
        settings = Settings(redis_url=SecretStr(f"rediss://:canary-Redis@127.0.0.1:{port}/0"))
        assert dispatch.answers(settings)
    assert heard
    assert not any(b"canary" in block for block in heard)
