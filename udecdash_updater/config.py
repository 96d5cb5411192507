"""The settings as an administrator looks at them: a sample to fill in, and what counts now and where it comes from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from dotenv import dotenv_values
from pydantic import SecretStr

from udecdash_updater import script
from udecdash_updater.language import say
from udecdash_updater.logs import LOGGER
from udecdash_updater.settings import Settings
from udecdash_updater.sources import load, load_for_worker

_HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Shown:
    """A setting's name, its value as text (a secret's is ***), and where it comes from."""

    name: str
    value: str
    source: str


def read(folder: Path) -> Settings:
    """The settings that `folder`/main.py runs with: its own values, then the environment, then .env beside it.

    main.py is read, not run: what it computes is told in the log. Raises SettingsError that names every mistake.
    """
    adopt(folder)
    return load(folder)


def read_for_workers(folder: Path) -> Settings:
    """As `read`; only DB_* must be there, because a host that has workers alone has no main.py."""
    adopt(folder)
    return load_for_worker(folder)


def adopt(folder: Path) -> None:
    """Put the settings that stand in `folder`/main.py into os.environ. Raises SettingsError when it is no Python."""
    found = script.adopt(folder)
    if found.computed:
        LOGGER.warning(say("main computes", names=", ".join(found.computed)))


def sample() -> str:
    """A .env to fill in: every setting with its default, in the order in which one needs them."""
    return (resources.files("udecdash_updater") / "templates" / "settings.env").read_text(encoding="utf-8")


def shown(folder: Path) -> list[Shown]:
    """Every setting that counts in `folder`, secrets as ***, each with its source. Raises SettingsError."""
    environment = dict(os.environ)  # before main.py's values are put there
    settings = read(folder)
    layers: dict[str, Mapping[str, str | None]] = {
        "main.py": script.read(folder).values,
        "environment": environment,
        ".env": dotenv_values(folder / ".env"),
    }
    return [
        Shown(name.upper(), _text(getattr(settings, name)), _source(name, layers)) for name in Settings.model_fields
    ]


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return _HIDDEN if value.get_secret_value() else ""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "" if value is None else str(value)


def _source(name: str, layers: Mapping[str, Mapping[str, str | None]]) -> str:
    for source, values in layers.items():
        given = {key.lower() for key, text in values.items() if (text or "").strip()}
        if given & {name, f"{name}_file"}:
            return source
    return "default"
