"""The embedded default: a private PostgreSQL, a private Redis and the workers, under one supervisord of our own."""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
import subprocess
import sys
import sysconfig
import xmlrpc.client
from collections.abc import Callable, Iterator
from pathlib import Path

import redis
from pydantic import SecretStr
from supervisor.xmlrpc import SupervisorTransport

from udecdash_updater import group, guard
from udecdash_updater.binaries import Account, find_redis
from udecdash_updater.cluster import DATABASE, Cluster, open_cluster, owner_account
from udecdash_updater.errors import DatabaseError, EmbeddedRedisError, RunActiveError, UpdaterError, WorkersError
from udecdash_updater.group import escaped
from udecdash_updater.language import say
from udecdash_updater.logs import LOGGER
from udecdash_updater.rooms import Rooms, end_former, home_lock, open_rooms, rooms_of_run, wait
from udecdash_updater.settings import Settings

_PACKAGE = Path(__file__).resolve().parent
_READY_SECONDS = 300  # crash recovery of a large database takes its time
_STOP_SECONDS = 120
_WORKER_STOP_SECONDS = 20
_LEAST_WORKERS = 2  # so that a large course holds up no small one
_MOST_WORKERS = 8
WORKER_SETTINGS = (
    "db_host",
    "db_port",
    "db_name",
    "db_username",
    "db_password",
    "db_schema",
    "db_sslmode",
    "db_sslrootcert",
    "redis_url",
    "time_zone",
    "queue_limits",
    "language",
    "udecdash_home",
)
_NOT_FOR_SERVERS = ("SMTP_PASS", "SERVER_SUDO_PASSWORD", "DB_PASSWORD_FILE", "REDIS_URL_FILE")


@contextlib.contextmanager
def servers(settings: Settings) -> Iterator[Settings]:
    """Run the servers that `settings` wants embedded; yields the settings with their real addresses.

    The servers run and the workers' group stands ready (stopped: the stage that starts workers does so) until
    the block is left; the data stays under UDECDASH_HOME. Raises RunActiveError when another run's are there,
    DatabaseError, EmbeddedRedisError or WorkersError when one does not start, SettingsError when UDECDASH_HOME is
    unusable.
    """
    if not (settings.embedded_database or settings.embedded_redis):
        yield settings
        return
    with home_lock(settings.udecdash_home), open_rooms(settings.udecdash_home) as rooms:
        end_former(rooms)
        cluster = _cluster(rooms) if settings.embedded_database else None
        addressed = _addressed(settings, rooms)
        _write_config(addressed, rooms, cluster, workers=settings.embedded_redis)
        with _supervisord(addressed, rooms) as supervisord:
            if cluster:
                _await("postgres", lambda: cluster.ready(rooms.servers), rooms, supervisord)
            if settings.embedded_redis:
                _await("redis", lambda: _redis_answers(rooms), rooms, supervisord)
            LOGGER.info(say("servers run", home=rooms.home, process=supervisord.pid))
            yield addressed


@contextlib.contextmanager
def visited(settings: Settings) -> Iterator[Settings]:
    """As `servers`, but where a run is at work with them, the settings lead to those that it has started.

    Raises RunActiveError while that run starts or stops them.
    """
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(servers(settings))
        except RunActiveError:
            found = _addressed(settings, rooms_of_run(settings.udecdash_home))
        yield found


# ---- what is to run


def guarded(rooms: Rooms, name: str, number: str, *, account: Account | None = None) -> list[str]:
    """The command prefix under which the server `name` holds its lock and ends with its parent."""
    prefix = [sys.executable, "-I", "-S", str(_PACKAGE / "guard.py")]
    prefix += ["--lock", str(rooms.lock(name)), "--signal", number, "--bare"]
    return [*prefix, *(["--user", account.name] if account else []), "--"]


def _cluster(rooms: Rooms) -> Cluster:
    data = rooms.data / "postgres"
    account = owner_account(data, rooms.account)
    return open_cluster(data, account, rooms.outside, guarded(rooms, "postgres", "KILL", account=account))


def _redis_command(rooms: Rooms) -> list[str]:
    program = find_redis(rooms.account, rooms.outside)
    data = rooms.data / "redis"
    data.mkdir(mode=0o700, exist_ok=True)
    account = owner_account(data, rooms.account)
    if rooms.account and data.stat().st_uid == 0:
        account = rooms.account
        os.chown(data, account.uid, account.gid)
    words = {
        "port": "0",
        "unixsocket": str(rooms.servers / "redis.sock"),
        "unixsocketperm": "700",
        "dir": str(data),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "daemonize": "no",
        "maxmemory-policy": "noeviction",
    }
    options = [word for name, value in words.items() for word in (f"--{name}", value)]
    return [*guarded(rooms, "redis", "TERM", account=account), str(program), *options]


def _addressed(settings: Settings, rooms: Rooms) -> Settings:
    """The settings with the servers' real addresses, so that the rest of the program never knows."""
    found: dict[str, object] = {}
    if settings.embedded_database:
        found |= {"db_host": str(rooms.servers), "db_port": 5432, "db_name": DATABASE}
        found |= {"db_username": DATABASE, "db_password": SecretStr(""), "db_sslmode": "disable"}
    if settings.embedded_redis:
        found["redis_url"] = SecretStr(f"unix://{rooms.servers / 'redis.sock'}?db=0")
        found["server_supervisord_command_path"] = shlex.join([sys.executable, "-m", "supervisor.supervisorctl"])
        found |= {"supervisor_config": rooms.config, "supervisor_programs": f"{group.GROUP}:*"}
        found["server_sudo_password"] = SecretStr("")
    return settings.model_copy(update=found)


def worker_environment(settings: Settings) -> dict[str, str]:
    """The environment of workers: ours, less the secrets they do not need, plus every setting that they read."""
    found = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_SERVERS}
    for name in WORKER_SETTINGS:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        found[name.upper()] = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    if str(_PACKAGE.parent) not in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        paths = [str(_PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
        found["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return found


def _write_config(settings: Settings, rooms: Rooms, cluster: Cluster | None, *, workers: bool) -> None:
    sections = [_daemon_section(rooms)]
    names = []
    if cluster:
        prefix = guarded(rooms, "postgres", "INT", account=cluster.account)
        command = [*prefix, *cluster.command(rooms.servers)]
        # INT is PostgreSQL's fast shutdown: it does not wait for clients.
        sections.append(_program("postgres", command, rooms, stopsignal="INT", stopwaitsecs="60"))
        names.append("postgres")
    if workers:
        sections.append(_program("redis", _redis_command(rooms), rooms, stopwaitsecs="10"))
        names.append("redis")
    sections.append(f"[group:udecdash-servers]\nprograms={','.join(names)}\npriority=10\n")
    if workers:
        sections += _worker_sections(settings, rooms)
    rooms.config.touch(mode=0o600)
    rooms.config.write_text("\n".join(sections), encoding="utf-8")


def _daemon_section(rooms: Rooms) -> str:
    user = "user=root\n" if rooms.account else ""
    return (
        f"[unix_http_server]\nfile={escaped(rooms.control)}\nchmod=0700\n\n"
        f"[supervisorctl]\nserverurl=unix://{escaped(rooms.control)}\n\n"
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\n"
        f"[supervisord]\nnodaemon=true\nsilent=true\numask=077\nminfds=256\nminprocs=20\n{user}"
        f"logfile={escaped(rooms.log('supervisord'))}\nlogfile_maxbytes=5MB\nlogfile_backups=2\n"
        f"pidfile={escaped(rooms.sockets / 'supervisord.pid')}\nchildlogdir={escaped(rooms.home / 'log')}\n"
    )


def _worker_sections(settings: Settings, rooms: Rooms) -> Iterator[str]:
    # No lock: there are several, and two workers of two runs do each other no harm (the jobs see to that).
    prefix = [sys.executable, "-I", "-S", str(_PACKAGE / "guard.py"), "--signal", "KILL", "--"]
    number = max(_LEAST_WORKERS, min(_MOST_WORKERS, os.cpu_count() or 1))
    counts = {queue: count for queue, count in group.spread(settings, number).items() if count}
    yield f"[group:{group.GROUP}]\nprograms={','.join(map(group.program, counts))}\npriority=999\n"
    for queue, count in counts.items():
        yield _program(
            group.program(queue),
            [*prefix, sys.executable, "-m", "udecdash_updater.worker", "--first", queue],
            rooms,
            numprocs=str(count),
            process_name=f"{queue}_%(process_num)02d",
            directory=escaped(rooms.home),
            autostart="false",
            startretries="10",
            stopwaitsecs=str(min(_WORKER_STOP_SECONDS, settings.supervisor_timeout)),
            killasgroup="true",
            stdout_logfile=escaped(escaped(rooms.home / "log")) + f"/worker-{queue}-%(process_num)02d.log",
        )


def _program(name: str, command: list[str], rooms: Rooms, **options: str) -> str:
    lines = {
        "command": escaped(shlex.join(command)),
        "directory": "/",
        "autorestart": "true",
        "startsecs": "1",
        "stopsignal": "TERM",
        "stopasgroup": "false",
        "redirect_stderr": "true",
        "stdout_logfile": escaped(escaped(rooms.log(name))),  # supervisord expands this one twice
        "stdout_logfile_maxbytes": "5MB",
        "stdout_logfile_backups": "2",
    } | options
    return f"[program:{name}]\n" + "".join(f"{key}={value}\n" for key, value in lines.items())


# ---- the supervisord that runs it


@contextlib.contextmanager
def _supervisord(settings: Settings, rooms: Rooms) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-I", "-S", str(_PACKAGE / "guard.py"), "--lock", str(rooms.lock("supervisord"))]
    command += ["--", sys.executable, "-m", "supervisor.supervisord", "-c", str(rooms.config)]
    with rooms.log("supervisord.err").open("wb") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            cwd="/",
            env=worker_environment(settings) | {guard.PARENT: str(os.getpid())},
            start_new_session=True,  # Ctrl-C is for us; we then stop the servers in their order
        )
        try:
            yield process
        finally:
            _stop(process, rooms)


def _stop(process: subprocess.Popen[bytes], rooms: Rooms) -> None:
    process.terminate()
    if not wait(lambda: _ended(process, rooms), _STOP_SECONDS):
        process.kill()
        process.wait()
    try:
        end_former(rooms)
    except RunActiveError as error:  # the run is over; the next one is refused as long as this stays
        LOGGER.error("%s\n  %s", error, error.advice)


def _ended(process: subprocess.Popen[bytes], rooms: Rooms) -> bool:
    # supervisord looks at signals and children once a second, or as soon as somebody connects: so it is quicker.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as knock:
        knock.connect(str(rooms.control))
    return process.poll() is not None


def _await(name: str, ready: Callable[[], bool], rooms: Rooms, process: subprocess.Popen[bytes]) -> None:
    wait(lambda: ready() or _given_up(name, rooms, process), _READY_SECONDS)
    if not ready():
        raise _not_started(name, rooms, process)


def _given_up(name: str, rooms: Rooms, process: subprocess.Popen[bytes]) -> bool:
    """Whether supervisord has ended, or says that it tries no more to start the server."""
    if process.poll() is not None:
        return True
    proxy = xmlrpc.client.ServerProxy(
        "http://127.0.0.1", transport=SupervisorTransport(None, None, f"unix://{rooms.control}")
    )
    with contextlib.suppress(OSError, xmlrpc.client.Error), proxy:
        found = proxy.supervisor.getProcessInfo(f"udecdash-servers:{name}")
        return isinstance(found, dict) and found.get("statename") in ("FATAL", "UNKNOWN")
    return False


def _not_started(name: str, rooms: Rooms, process: subprocess.Popen[bytes]) -> UpdaterError:
    kind: type[UpdaterError] = DatabaseError if name == "postgres" else EmbeddedRedisError
    log = rooms.log(name)
    if process.poll() is not None:
        kind, log = WorkersError, rooms.log("supervisord.err")
        log = log if log.stat().st_size else rooms.log("supervisord")
    last = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]) if log.exists() else ""
    return kind(f"The embedded {name} did not start; the last lines of {log}:\n{last}")


def _redis_answers(rooms: Rooms) -> bool:
    with (
        contextlib.suppress(redis.RedisError),
        redis.Redis(unix_socket_path=str(rooms.servers / "redis.sock"), socket_timeout=5) as client,
    ):
        return bool(client.ping())
    return False
