"""Instructure's client `dap` as a subprocess: one query a call, judged by its exit code and the files it leaves."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from udecdash_updater import dap_batches, programs
from udecdash_updater.errors import DapError
from udecdash_updater.language import because, say
from udecdash_updater.logs import LOGGER, SecretMask
from udecdash_updater.settings import SECRET_NAMES, Settings

_COMMAND = "SERVER_DAP_COMMAND_PATH"
_JOB = re.compile(r"\bID:? ([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\b")
_FOLDER = "job_"
# Settings of its own that would change what it does; a Python of another environment would not start.
_FOREIGN = ("DAP_", "PYTHON")
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a query ended: why it failed, in the client's words ('' when it did not), its job, and its files."""

    failure: str
    job: str
    files: tuple[Path, ...]


def command(settings: Settings) -> Path:
    """The client's path. Raises DapError when it is not there or may not be executed."""
    given = settings.server_dap_command_path
    found = shutil.which(Path(given).expanduser()) if given else None
    if found:
        return Path(found).absolute()
    if not given:
        raise DapError(say("setting blank", name=_COMMAND))
    there = Path(given).expanduser().exists()
    raise DapError(say("cli not executable" if there else "cli missing", name=_COMMAND, path=given))


def query(
    settings: Settings, name: str, since: datetime | None, folder: Path, leash: int, stopped: Callable[[], bool]
) -> Outcome:
    """Run one query of the table `name` (namespace.table), a snapshot or what changed since then, into `folder`.

    It has DOWNLOAD_TIMEOUT seconds, and ends when `stopped` says so. Raises DapError when the client cannot be run.
    """
    namespace, _, table = name.partition(".")
    kind = dap_batches.INCREMENTAL if since else dap_batches.SNAPSHOT
    arguments = ["--non-interactive", "--loglevel", "info", kind, "--namespace", namespace, "--table", table]
    arguments += ["--format", "tsv", "--output-directory", str(folder)]
    if since:
        arguments += ["--since", str(dap_batches.written(since))]
    client, mask, jobs = command(settings), SecretMask(settings.secrets()), list[str]()

    def tell(line: str) -> None:
        jobs.extend(_JOB.findall(line))
        LOGGER.debug("dap: %s", mask.mask(line))

    try:
        finished = programs.run(
            [str(client), *arguments],
            cwd=folder,
            timeout=settings.download_timeout,
            tell=tell,
            environment=_environment(settings),
            leash=leash,
            stopped=stopped,
        )
    except OSError as error:
        raise DapError(say("cli failed", name=_COMMAND, path=client, why=because(error))) from error
    files = sorted(path for path in folder.glob(f"{_FOLDER}*/*") if path.is_file())
    folders = [path.name.removeprefix(_FOLDER) for path in folder.glob(f"{_FOLDER}*")]
    failure = mask.mask(_failure(finished, settings.download_timeout))
    return Outcome(failure, (folders or jobs[-1:] or [""])[0], tuple(files))


def _environment(settings: Settings) -> dict[str, str]:
    """Ours without secrets that are not the client's; the key goes this way, since anybody may read a command line."""
    kept = {n: v for n, v in os.environ.items() if n not in SECRET_NAMES and not n.startswith(_FOREIGN)}
    return kept | {
        "DAP_API_URL": settings.dap_api_url,
        "DAP_CLIENT_ID": settings.dap_client_id,
        "DAP_CLIENT_SECRET": settings.dap_client_secret.get_secret_value(),
        "DAP_TRACKING": "false",
    }


def _failure(finished: programs.Finished, timeout: int) -> str:
    if finished.timed_out:
        return f"dap was still running after {timeout} s and was ended"
    if not finished.code:
        return ""
    ended = f"exit code {finished.code}" if finished.code > 0 else f"signal {-finished.code}"
    return " | ".join([f"dap ended with {ended}", *finished.last_lines[-_SHOWN:]])
