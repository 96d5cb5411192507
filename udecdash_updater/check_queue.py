"""Checks of Redis, the workers that listen to it, and supervisord that keeps them running. Nothing is written."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import redis
from rq import Queue
from rq.worker_registration import get_keys

from udecdash_updater import config, dispatch, workers
from udecdash_updater.check_database import clock_agrees
from udecdash_updater.embedded import WORKER_SETTINGS
from udecdash_updater.errors import WorkersError
from udecdash_updater.findings import Finding, failed, ok, warning
from udecdash_updater.queues import queue_names
from udecdash_updater.script import MAIN
from udecdash_updater.settings import Settings

Facts = Mapping[str, object]
"""What Redis' INFO tells."""
Judge = Callable[[Facts], Finding]
_OLDEST = (6, 2)
_LOCAL = ("localhost", "127.0.0.1", "::1", None)


def redis_fits(settings: Settings) -> Iterator[Finding]:
    """Version, what it keeps, what it throws away, its clock, its jobs, and who listens."""
    with dispatch.redis_of(settings) as connection:
        facts = {**connection.info(), **_configured(connection)}
        yield version(facts)
        yield persistence(facts)
        yield eviction(facts)
        seconds, microseconds = connection.time()
        yield clock_agrees("Redis", seconds + microseconds / 1e6)
        yield _failed_jobs(settings, connection)
        yield _listeners(settings, connection)


def _configured(connection: redis.Redis) -> Facts:
    """When Redis saves, which INFO does not tell; managed servers refuse to tell it at all."""
    with contextlib.suppress(redis.ResponseError):
        return {str(name): value for name, value in connection.config_get("save").items()}
    return {}


def version(facts: Facts) -> Finding:
    """Whether the server knows what reliable queues need."""
    # Valkey tells the version of Redis that it is like, and its own.
    version = str(facts.get("valkey_version") or facts["redis_version"])
    name = "Valkey" if "valkey_version" in facts else "Redis"
    number = tuple(map(int, re.findall(r"\d+", str(facts["redis_version"]))[:2]))
    if number < _OLDEST:
        hint = "Install Redis 6.2 or newer, or Valkey."
        return warning("redis", f"{name} {version} is older than 6.2: a killed worker's job may be lost", hint)
    return ok("redis", f"{name} {version}")


def persistence(facts: Facts) -> Finding:
    """Whether jobs outlive a restart."""
    if facts.get("aof_enabled") or facts.get("save"):
        return ok("redis persistence", "jobs outlive a restart")
    hint = "redis-cli config set appendonly yes; else, after a restart: udecdash-updater requeue"
    return warning("redis persistence", "nothing is kept: a restart of Redis loses the jobs that wait", hint)


def eviction(facts: Facts) -> Finding:
    """Whether Redis throws jobs away when its memory is full."""
    policy = str(facts.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction" and facts.get("maxmemory"):
        hint = "redis-cli config set maxmemory-policy noeviction"
        return warning("redis eviction", f"with {policy} Redis throws jobs away when its memory is full", hint)
    return ok("redis eviction", "no job is thrown away")


def _failed_jobs(settings: Settings, connection: redis.Redis) -> Finding:
    queues = [Queue(name, connection=connection, serializer="json") for name in queue_names(settings)]
    count = sum(queue.failed_job_registry.get_job_count(cleanup=False) for queue in queues)
    waiting = sum(queue.count for queue in queues)
    numbers = {"jobs_waiting": waiting, "jobs_failed": count}
    if count:
        hint = "Read the workers' logs, then: udecdash-updater requeue"
        return warning("redis jobs", f"{count} have failed, {waiting} wait", hint, **numbers)
    return ok("redis jobs", f"none has failed, {waiting} wait", **numbers)


def _listeners(settings: Settings, connection: redis.Redis) -> Finding:
    if settings.embedded_redis:
        return ok("redis workers", "they come with the embedded Redis")
    heard: dict[str, set[str]] = {}
    for key in get_keys(connection=connection):
        host, queues = (_text(value) for value in connection.hmget(key, "hostname", "queues"))
        for queue in filter(None, queues.split(",")):
            heard.setdefault(queue, set()).add(f"{key} on {host}")
    deaf = [name for name in queue_names(settings) if name not in heard]
    count = len(set().union(*heard.values())) if heard else 0
    if deaf:
        told = "no worker listens" if not count else f"no worker listens to {', '.join(deaf)}"
        reach = " Workers on other machines cannot reach this REDIS_URL." if _is_local(settings) else ""
        return warning("redis workers", told, f"Start them: supervisorctl start {settings.supervisor_programs}.{reach}")
    return ok("redis workers", f"{count} listen to all queues", workers=count)


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")


def _is_local(settings: Settings) -> bool:
    parts = urlsplit(settings.redis_url.get_secret_value())
    return parts.scheme == "unix" or parts.hostname in _LOCAL


def workers_run(settings: Settings) -> Iterator[Finding]:
    """Every program of the workers' group runs."""
    states = workers.state(settings)
    if not states:
        told = "SERVER_SUPERVISORD_COMMAND_PATH is blank: workers are neither stopped nor started"
        yield warning("workers", told, "See supervisord_config/README.md; or start them by hand and ignore this.")
        return
    idle = {name: state for name, state in states.items() if state != workers.RUNNING}
    if idle:
        told = ", ".join(f"{name} is {state}" for name, state in idle.items())
        hint = f"{settings.server_supervisord_command_path} start {' '.join(idle)}"
        yield failed("workers", WorkersError(f"{len(states) - len(idle)} of {len(states)} run: {told}.", hint=hint))
    else:
        yield ok("workers", f"all {len(states)} run under supervisord")


def workers_know(folder: Path) -> Iterator[Finding]:
    """What workers need stands where they look: not in main.py, which they do not read."""
    hidden = [one.name for one in config.shown(folder) if one.source == MAIN and one.name.lower() in WORKER_SETTINGS]
    if hidden:
        told = f"{', '.join(hidden)} stand in main.py alone, which workers do not read"
        yield warning("workers' settings", told, f"Move them into {folder / '.env'}, then restart the workers.")
    else:
        yield ok("workers' settings", "stand where workers look")


def sudo_is_there(settings: Settings) -> Iterator[Finding]:
    """Sudo is there where a password for it is set."""
    if not settings.server_sudo_password.get_secret_value():
        yield ok("sudo", "not used")
    elif not shutil.which("sudo"):
        told = "SERVER_SUDO_PASSWORD is set, but there is no sudo."
        yield failed("sudo", WorkersError(told, hint="Install sudo, or leave SERVER_SUDO_PASSWORD blank."))
    elif os.geteuid() == 0:
        yield warning("sudo", "this is root, who needs no password", "Leave SERVER_SUDO_PASSWORD blank.")
    else:
        yield ok("sudo", "is there; whether it takes the password shows under workers")
