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
from udecdash_updater.language import say
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
        return warning("redis", say("redis old", name=name, version=version), say("redis newer"))
    return ok("redis", f"{name} {version}")


def persistence(facts: Facts) -> Finding:
    """Whether jobs outlive a restart."""
    if facts.get("aof_enabled") or facts.get("save"):
        return ok("redis persistence", say("redis keeps"))
    return warning("redis persistence", say("redis forgets"), say("redis keep"))


def eviction(facts: Facts) -> Finding:
    """Whether Redis throws jobs away when its memory is full."""
    policy = str(facts.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction" and facts.get("maxmemory"):
        hint = "redis-cli config set maxmemory-policy noeviction"
        return warning("redis eviction", say("redis evicts", policy=policy), hint)
    return ok("redis eviction", say("redis never evicts"))


def _failed_jobs(settings: Settings, connection: redis.Redis) -> Finding:
    queues = [Queue(name, connection=connection, serializer="json") for name in queue_names(settings)]
    count = sum(queue.failed_job_registry.get_job_count(cleanup=False) for queue in queues)
    waiting = sum(queue.count for queue in queues)
    numbers = {"jobs_waiting": waiting, "jobs_failed": count}
    if count:
        told = say("redis jobs failed", failed=count, waiting=waiting)
        return warning("redis jobs", told, say("redis jobs hint"), **numbers)
    return ok("redis jobs", say("redis jobs fine", waiting=waiting), **numbers)


def _listeners(settings: Settings, connection: redis.Redis) -> Finding:
    if settings.embedded_redis:
        return ok("redis workers", say("workers embedded"))
    names = queue_names(settings)
    listening = list(filter(None, (_queues_of(connection, key) for key in get_keys(connection=connection))))
    deaf = [name for name in names if not any(name in queues for queues in listening)]
    if deaf:
        told = say("workers deaf", queues=", ".join(deaf)) if len(deaf) < len(names) else say("workers none listen")
        start = "workers start local" if _is_local(settings) else "workers start"
        return warning("redis workers", told, say(start, command=workers.by_hand(settings, "start")))
    if not any(queues[0] == names[0] for queues in listening):
        return warning("redis workers", say("workers all large"), say("workers begin small", queue=names[0]))
    return ok("redis workers", say("workers listen", count=len(listening)), workers=len(listening))


def _queues_of(connection: redis.Redis, worker: str) -> list[str]:
    """The queues of a worker, in the order in which it looks into them; none of one that is gone."""
    return list(filter(None, _text(connection.hget(worker, "queues")).split(",")))


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")


def _is_local(settings: Settings) -> bool:
    parts = urlsplit(settings.redis_url.get_secret_value())
    return parts.scheme == "unix" or parts.hostname in _LOCAL


def workers_run(settings: Settings) -> Iterator[Finding]:
    """Every program of the workers' group runs."""
    states = workers.state(settings)
    if not states:
        yield warning("workers", say("workers not ours"), say("workers set up"))
        return
    idle = {name: state for name, state in states.items() if state != workers.RUNNING}
    if idle:
        told = ", ".join(f"{name} {state}" for name, state in idle.items())
        counts = {"running": len(states) - len(idle), "all": len(states)}
        hint = workers.by_hand(settings, "start", *idle)
        yield failed("workers", WorkersError(say("workers idle", **counts, states=told), hint=hint))
    else:
        yield ok("workers", say("workers run", count=len(states)))


def workers_know(folder: Path) -> Iterator[Finding]:
    """What workers need stands where they look: not in main.py, which they do not read."""
    hidden = [one.name for one in config.shown(folder) if one.source == MAIN and one.name.lower() in WORKER_SETTINGS]
    if hidden:
        told = say("workers unaware", names=", ".join(hidden))
        yield warning("workers' settings", told, say("workers move to env", path=folder / ".env"))
    else:
        yield ok("workers' settings", say("workers aware"))


def sudo_is_there(settings: Settings) -> Iterator[Finding]:
    """Sudo is there where a password for it is set."""
    if not settings.server_sudo_password.get_secret_value():
        yield ok("sudo", say("sudo none"))
    elif not shutil.which("sudo"):
        yield failed("sudo", WorkersError(say("sudo missing"), hint=say("sudo install")))
    elif os.geteuid() == 0:
        yield warning("sudo", say("sudo root"), say("sudo blank"))
    else:
        yield ok("sudo", say("sudo there"))
