"""The download stage: canvasDataCli of Canvas Data 1 as a subprocess, told apart from its noise."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import stamina

from udecdash_updater import programs
from udecdash_updater.errors import DownloadError
from udecdash_updater.language import Both, Told, Words, because, say
from udecdash_updater.logs import LOGGER, SecretMask
from udecdash_updater.settings import SECRET_NAMES, Settings

CONFIG = "config.js"
UNPACKED = "unpackedFiles"
_COMMAND = "SERVER_CANVAS_DATA_CLI_COMMAND_PATH"
_INCOMPLETE = "Could not retrieve a full list of files"
_VALUE = r"""['"]?\s*[:=]\s*((?:'[^'\n]*'|"[^"\n]*"|`[^`\n]*`|\([^)\n]*\)|[^,}\n'"`(])*)"""
_SECRET = re.compile(r"\b\w*(?:key|secret|password|username)\w*" + _VALUE, re.IGNORECASE)
_SHORTEST_SECRET = 4  # a shorter one would mask half of the log
_COMMENT = re.compile(r"""('(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`)|//[^\n]*|/\*.*?\*/""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds between attempts: `first`, then `factor` times more each, never above `longest`."""

    first: float = 5
    factor: float = 4
    longest: float = 600


@dataclass(frozen=True, slots=True)
class Done:
    """A command that did its work: after how many attempts, and its last lines."""

    attempts: int
    last_lines: tuple[str, ...]


class CommandError(DownloadError):
    """The dump could not be downloaded."""

    def __init__(self, what: Words, last_lines: tuple[str, ...] = ()) -> None:
        lead = say("cli last lines" if last_lines else "cli wrote nothing", what=what)
        told = "".join(f"\n  | {line}" for line in last_lines)
        super().__init__(Both(*(lead.text(language) + told for language in ("en", "es"))))
        self.what = what


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turns the operating system's refusal into DownloadError: the path and why."""
    try:
        yield
    except OSError as error:
        refused = say("unreadable", path=error.filename, why=because(error))
        raise DownloadError(refused, hint=say("unreadable hint")) from None


def check(settings: Settings) -> None:
    """See that the command and its config.js are there; warn where config.js saves elsewhere than PATH_DATA_FILES.

    Raises DownloadError that names the setting and the path.
    """
    _command(settings)
    _config_folder(settings)
    if elsewhere := saves_elsewhere(settings):
        LOGGER.warning("%s", elsewhere)


def saves_elsewhere(settings: Settings) -> Told:
    """Where config.js saves, if that is not PATH_DATA_FILES; else nothing. Raises as `check`."""
    folder, ours = _config_folder(settings), settings.path_data_files
    saved = _configured(settings, "saveLocation")
    if not saved or ours is None or (folder / saved).resolve() == ours.resolve():
        return ""
    return say("saves elsewhere", config=folder / CONFIG, saved=folder / saved, ours=ours)


def sync(settings: Settings, *, backoff: Backoff | None = None) -> Done:
    """Run `canvasDataCli sync -c config.js` in PATH_CANVAS_CONFIG until it succeeds, DOWNLOAD_ATTEMPTS times at most.

    Each attempt has DOWNLOAD_TIMEOUT seconds. It succeeded when it exits 0, has written schema.json (it does so every
    time) and the dump has files; what it writes on stderr says nothing. Raises DownloadError with its last lines.
    """
    waits = backoff or Backoff()
    with _alone(settings) as leash:
        for attempt in stamina.retry_context(
            on=CommandError,
            attempts=settings.download_attempts,
            timeout=None,
            wait_initial=waits.first,
            wait_max=waits.longest,
            wait_jitter=0,
            wait_exp_base=waits.factor,
        ):
            with attempt:
                LOGGER.info(say("sync attempt", number=attempt.num, of=settings.download_attempts))
                return Done(attempt.num, _sync_once(settings, leash))
    raise DownloadError(say("cli not run"))  # pragma: no cover - retry_context returns or raises


def unpack(settings: Settings, tables: Iterable[str]) -> Done:
    """Run `canvasDataCli unpack -c config.js -f t1 t2 ...` for those of `tables` that have files.

    The old <table>.txt of all of them are removed first, so that yesterday's are never taken for today's.
    Raises DownloadError with its last lines.
    """
    wanted = sorted(set(tables))
    target = unpacked_folder(settings)
    with _told():
        for table in wanted:
            (target / f"{table}.txt").unlink(missing_ok=True)
    present = [table for table in wanted if _has_files(settings, table)]
    if not present:
        return Done(0, ())
    with _alone(settings) as leash:
        finished = _run(settings, ["unpack", "-c", CONFIG, "-f", *present], leash)
    lacking = [table for table in present if not (target / f"{table}.txt").is_file()]
    if lacking:
        raise CommandError(say("cli not unpacked", table=lacking[0], path=target), finished.last_lines)
    return Done(1, finished.last_lines)


def unpacked_folder(settings: Settings) -> Path:
    """Where unpack writes <table>.txt: config.js's unpackLocation, from PATH_CANVAS_CONFIG, else unpackedFiles."""
    folder = _config_folder(settings)
    return Path(os.path.normpath(folder / (_configured(settings, "unpackLocation") or UNPACKED)))


def _sync_once(settings: Settings, leash: int) -> tuple[str, ...]:
    before = _written(settings)
    try:
        finished = _run(settings, ["sync", "-c", CONFIG], leash)
        _dump_is_there(settings, before, finished)
    except CommandError as error:
        LOGGER.warning("%s", error.what)
        raise
    return finished.last_lines


def _run(settings: Settings, arguments: list[str], leash: int) -> programs.Finished:
    command = _command(settings)
    mask = SecretMask(_secrets(settings)).mask
    try:
        finished = programs.run(
            [str(command), *arguments],
            cwd=_config_folder(settings),
            timeout=settings.download_timeout,
            tell=lambda line: LOGGER.log(_level(line), "canvasDataCli: %s", mask(line)),
            environment=_environment(command),
            leash=leash,
        )
    except OSError as error:
        raise DownloadError(say("cli failed", name=_COMMAND, path=command, why=because(error))) from error
    lines = tuple(mask(line) for line in finished.last_lines)
    name = f"canvasDataCli {arguments[0]}"
    if finished.timed_out:
        raise CommandError(say("cli timed out", command=name, seconds=settings.download_timeout), lines)
    if finished.code:
        raise CommandError(_outcome(name, finished.code), lines)
    return programs.Finished(finished.code, finished.timed_out, lines)


def _level(line: str) -> int:
    """It exits 0 after that one, and deletes what the incomplete list lacks: somebody should know."""
    return logging.WARNING if _INCOMPLETE in line else logging.DEBUG


def _environment(command: Path) -> dict[str, str]:
    """Ours without our secrets; PATH is short under cron, and node usually lies beside the command (nvm, npm)."""
    kept = {name: value for name, value in os.environ.items() if name not in SECRET_NAMES}
    return {**kept, "PATH": os.pathsep.join([str(command.parent), os.environ.get("PATH", os.defpath)])}


def _outcome(command: str, code: int) -> Words:
    return say("cli exit code" if code > 0 else "cli signal", command=command, code=abs(code))


@_told()
def _command(settings: Settings) -> Path:
    given = settings.server_canvas_data_cli_command_path
    found = shutil.which(Path(given).expanduser()) if given else None
    if found:
        return Path(found).absolute()
    if not given:
        raise DownloadError(say("setting blank", name=_COMMAND))
    there = Path(given).expanduser().exists()
    raise DownloadError(say("cli not executable" if there else "cli missing", name=_COMMAND, path=given))


@_told()
def _config_folder(settings: Settings) -> Path:
    folder = settings.path_canvas_config
    if folder is None:
        raise DownloadError(say("setting blank", name="PATH_CANVAS_CONFIG"))
    if not folder.is_dir():
        raise DownloadError(say("setting not folder", name="PATH_CANVAS_CONFIG", path=folder))
    if not (folder / CONFIG).is_file():
        raise DownloadError(say("cli no config", name="PATH_CANVAS_CONFIG", file=CONFIG, path=folder))
    return folder


def _data_files(settings: Settings) -> Path:
    if settings.path_data_files is None:
        raise DownloadError(say("setting blank", name="PATH_DATA_FILES"))
    return settings.path_data_files


@contextlib.contextmanager
def _alone(settings: Settings) -> Iterator[int]:
    """Only one canvasDataCli a data folder; the lock lies in PATH_CANVAS_CONFIG, where sync deletes nothing."""
    lock = _config_folder(settings) / ".udecdash-canvas-cli.lock"
    with contextlib.ExitStack() as held:
        try:
            with _told():
                leash = held.enter_context(programs.alone(lock))
        except programs.BusyError as busy:
            raise DownloadError(say("cli busy", process=busy, path=lock.parent)) from busy
        yield leash


def _written(settings: Settings) -> int:
    """When schema.json was last written, in ns; 0 where it is not there."""
    try:
        return (_data_files(settings) / "schema.json").stat().st_ctime_ns
    except OSError:
        return 0


def _dump_is_there(settings: Settings, before: int, finished: programs.Finished) -> None:
    folder = _data_files(settings)
    if _written(settings) in (0, before):
        raise CommandError(say("cli no schema", path=folder), finished.last_lines)
    if next(folder.glob("*/*.gz"), None) is None:
        raise CommandError(say("cli no files", path=folder), finished.last_lines)


def _has_files(settings: Settings, table: str) -> bool:
    return next((_data_files(settings) / table).glob("*.gz"), None) is not None


@_told()
def _source(settings: Settings) -> str:
    """config.js without its comments."""
    text = (_config_folder(settings) / CONFIG).read_text(encoding="utf-8", errors="replace")
    return _COMMENT.sub(lambda found: found[1] or " ", text)


def _configured(settings: Settings, field: str) -> str:
    """The text of a field of config.js: of its environment variable, else its first literal; '' if neither is found."""
    found = re.search(rf"\b{field}" + _VALUE, _source(settings))
    if not found:
        return ""
    variable = re.search(r"process\.env\.(\w+)", found[1])
    if variable and os.environ.get(variable[1]):
        return os.environ[variable[1]]
    literal = re.search(r"""(['"`])(.*?)\1""", re.sub(r"\brequire\([^)]*\)", "", found[1]))
    return literal[2] if literal else ""


def _secrets(settings: Settings) -> Iterator[str]:
    """The texts that config.js gives to anything called key, secret or the like, and what its environment holds."""
    for expression in _SECRET.findall(_source(settings)):
        values = [text for _, text in re.findall(r"""(['"`])(.*?)\1""", expression)]
        values += [os.environ.get(name, "") for name in re.findall(r"process\.env\.(\w+)", expression)]
        yield from (value for value in values if len(value) >= _SHORTEST_SECRET)
