"""The workers' group under supervisord: stopped before the load, started after it; nothing else is ever touched."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

from udecdash_updater.errors import SettingsError, WorkersError
from udecdash_updater.language import Both, because, say
from udecdash_updater.logs import LOGGER
from udecdash_updater.settings import Settings

RUNNING = "RUNNING"
_PENDING = {"STARTING", "STOPPING"}
_STATUS = re.compile(r"^(\S+)\s+(STOPPED|STARTING|RUNNING|BACKOFF|STOPPING|EXITED|FATAL|UNKNOWN)\b", re.MULTILINE)
# supervisorctl 3 leaves with 0 whatever happened, so its words count too; these two only say that it was so already.
_COMPLAINT = re.compile(r"ERROR \((?!already started|not running)|refused connection|no such file$", re.MULTILINE)
_NOT_RUNNING = (1, 7)  # supervisorctl's codes for programs that do not start
_NAMED = re.compile(
    r"^(\S+?)(?:: ERROR \((?:spawn error|abnormal termination)|\s+(?:FATAL|BACKOFF|EXITED)\b)", re.MULTILINE
)
_ANSWER_SECONDS = 15
_PAUSE = 0.5
_LAST_LINES = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """What a supervisorctl said: exit code (None: it hung and was killed), output, and the command without secrets."""

    code: int | None
    output: str
    command: str

    def error(self, what: str, log: str = "") -> WorkersError:
        """The error to raise about it; `log` is what the program itself said."""
        told = {"command": self.command, "what": what}
        end = say("ctl hung", **told) if self.code is None else say("ctl exit code", **told, code=self.code)
        lines = [line for text in (self.output, log) for line in text.strip().splitlines()[-_LAST_LINES:]]
        return WorkersError(Both(*("\n".join([end.text(language), *lines]) for language in ("en", "es"))))


def stop(settings: Settings) -> dict[str, str]:
    """Stop the workers of SUPERVISOR_PROGRAMS, letting them end their jobs for SUPERVISOR_TIMEOUT seconds.

    Returns their states (empty: SERVER_SUPERVISORD_COMMAND_PATH is blank, nothing was done). Workers that are still
    ending a job then are told as a warning, no error: stopping only saves load. Raises WorkersError otherwise.
    """
    if not _wanted(settings, "stopped"):
        return {}
    answer = _supervisorctl(settings, "stop", settings.supervisor_timeout)
    if answer.code is None:
        states = state(settings)
        if not set(states.values()) & {"STOPPING", "STOPPED"}:
            raise answer.error("stop")
        LOGGER.warning(say("workers still end", seconds=settings.supervisor_timeout))
        return states
    _judge(answer, "stop")
    return state(settings)


def start(settings: Settings) -> dict[str, str]:
    """Start the workers of SUPERVISOR_PROGRAMS and see that they run; returns their states (empty as in `stop`).

    Raises WorkersError when they do not run within SUPERVISOR_TIMEOUT seconds.
    """
    if not _wanted(settings, "started"):
        return {}
    limit = time.monotonic() + settings.supervisor_timeout
    while True:
        # Again in each round: a worker that was still stopping when asked stays stopped.
        started = _supervisorctl(settings, "start", settings.supervisor_timeout)
        if started.code not in {0, *_NOT_RUNNING}:
            raise started.error("start")
        answer, states = _status(settings)
        if set(states.values()) == {RUNNING}:
            return states
        # Stopped by now means: it was still stopping when it was asked to start.
        pending = _PENDING | ({"STOPPED"} if "abnormal termination" in started.output else set())
        if not set(states.values()) & pending or time.monotonic() > limit:
            told = started if started.code else answer
            raise told.error("not all of them run", _last_words(settings, told.output))
        time.sleep(_PAUSE)


def state(settings: Settings) -> dict[str, str]:
    """The state of each program of SUPERVISOR_PROGRAMS in supervisord's words, by its full name (group:name).

    Empty when SERVER_SUPERVISORD_COMMAND_PATH is blank. Raises WorkersError when supervisord does not tell.
    """
    return _status(settings)[1] if settings.server_supervisord_command_path else {}


def by_hand(settings: Settings, action: str, *programs: str) -> str:
    """The supervisorctl command for a person to type, of all our programs if none is named."""
    return shlex.join(
        [*(["sudo"] if settings.server_sudo_password.get_secret_value() else []), *_command(settings, action, programs)]
    )


def _last_words(settings: Settings, output: str) -> str:
    """The end of the log of the first program that `output` names, which says why it does not run."""
    if not (named := _NAMED.search(output)):
        return ""
    logs = (_supervisorctl(settings, "tail", _ANSWER_SECONDS, [named[1], log]) for log in ("stderr", "stdout"))
    return next((log.output for log in logs if log.code == 0 and log.output.strip()), "")


def _wanted(settings: Settings, what: str) -> bool:
    if not settings.server_supervisord_command_path:
        LOGGER.info(say("no workers stopped" if what == "stopped" else "no workers started"))
    return bool(settings.server_supervisord_command_path)


def _judge(answer: Answer, action: str) -> None:
    if answer.code != 0 or _COMPLAINT.search(answer.output):
        raise answer.error(action)


def _status(settings: Settings) -> tuple[Answer, dict[str, str]]:
    answer = _supervisorctl(settings, "status", min(_ANSWER_SECONDS, settings.supervisor_timeout))
    states = dict(_STATUS.findall(answer.output))
    # 3 is status' way to say that not all of them run.
    if answer.code not in {0, 3} or _COMPLAINT.search(answer.output) or not states:
        raise answer.error("status")
    return answer, states


def _programs(settings: Settings) -> list[str]:
    names = settings.supervisor_programs.replace(",", " ").split()
    if not names or any(name == "all" or name.startswith("-") for name in names):
        raise SettingsError([say("problem", name="SUPERVISOR_PROGRAMS", what=say("workers' group"))])
    return names


def _supervisorctl(settings: Settings, action: str, seconds: float, words: Sequence[str] = ()) -> Answer:
    """Run supervisorctl, through sudo when there is a password, for so many seconds at most.

    `words` follow the action instead of the programs of SUPERVISOR_PROGRAMS.
    """
    command = _command(settings, action, words)
    password = settings.server_sudo_password.get_secret_value()
    if password:
        command = ["sudo", "-S", "-p", "", "--", *command]
    code, output = _run(command, f"{password}\n" if password else "", seconds)
    return Answer(code, output.replace(password, "***") if password else output, shlex.join(command))


def _command(settings: Settings, action: str, words: Sequence[str]) -> list[str]:
    command = shlex.split(settings.server_supervisord_command_path or "supervisorctl")
    if settings.supervisor_config:
        command += ["-c", str(settings.supervisor_config)]
    return [*command, action, *(words or _programs(settings))]


def _run(command: list[str], typed: str, seconds: float) -> tuple[int | None, str]:
    """Exit code (None: killed after so many seconds) and output of `command`, with `typed` on its standard input."""
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        except OSError as error:
            raise WorkersError(say("ctl failed", command=shlex.join(command), why=because(error))) from None
        with contextlib.suppress(BrokenPipeError), process.stdin or contextlib.nullcontext() as stdin:
            if stdin:
                stdin.write(typed.encode())
        code = _wait(process, seconds)
        output.seek(0)
        return code, output.read().decode("utf-8", errors="replace")


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """The exit code within so many seconds, else None; then, or on any interruption, its whole group is killed."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            # What sudo started is root's and cannot be killed by us; supervisorctl then ends by itself.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
