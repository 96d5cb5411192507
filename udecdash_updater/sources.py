"""Where settings come from: the environment, .env and files of secrets; judged together, all that is wrong at once."""

from __future__ import annotations

import contextlib
import difflib
import os
import pwd
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from udecdash_updater.errors import SettingsError
from udecdash_updater.fields import EMBEDDED, Language
from udecdash_updater.language import Told, Words, because, say
from udecdash_updater.settings import SECRET_FIELDS, SEED_NAMES, Settings

_DOT_ENV = ".env"
_ALIKE = 0.75
_DATABASE_FIELDS = ("db_host", "db_port", "db_name", "db_username", "db_password")


def load(folder: Path | None = None) -> Settings:
    """Read the settings: the environment, then the .env of `folder` (default: beside the main script).

    What the main script sets is in the environment already. Raises SettingsError that names every missing or
    malformed setting, never its value.
    """
    return _judged(folder or script_folder(), missing)


def language(folder: Path) -> str:
    """LANGUAGE as `load` would find it, also where the other settings cannot be used. Raises nothing."""
    default = str(Settings.model_fields["language"].default)
    with contextlib.suppress(ValidationError):  # it alone: the environment may hold other mistakes
        return TypeAdapter[str](Language).validate_python(_given(folder)[0].get("language", default))
    return default


def load_for_worker(folder: Path | None = None) -> Settings:
    """A worker's settings: environment, then the .env of `folder` (default: the current one); only DB_* must be there.

    Raises SettingsError as `load` does.
    """
    return _judged(folder or Path.cwd(), _missing_for_worker)


def _judged(folder: Path, wanting: Callable[[Settings], list[Words]]) -> Settings:
    values, problems = _given(folder)
    unread = [_of(problem).removesuffix("_FILE") for problem in problems]
    try:
        settings = Settings(**values)
    except ValidationError as error:
        problems += _told(error)
        settings = _lenient(values, error)
    if _DOT_ENV not in unread:  # what stands there may be all that is missing
        problems += [problem for problem in wanting(settings) if _of(problem) not in unread]
    if problems:
        raise SettingsError(problems, hint=_hint(folder, values, unread))
    return settings


def _hint(folder: Path, given: Mapping[str, Any], unread: Sequence[str]) -> Told:
    if _DOT_ENV in unread:
        if os.access(folder / _DOT_ENV, os.R_OK):
            return say("env no text hint", path=folder / _DOT_ENV)
        return say("env unread hint", account=_account(), path=folder / _DOT_ENV)
    if not given and not any((folder / name).exists() for name in ("main.py", _DOT_ENV)):
        return say("nothing here", folder=folder)
    return ""


def _account() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # as in a container
        return str(os.geteuid())


def _wrong(name: str, what: Told) -> Words:
    return say("problem", name=name, what=what)


def _of(problem: Words) -> str:
    return str(problem.values["name"])


def _given(folder: Path) -> tuple[dict[str, Any], list[Words]]:
    """What is not blank in the environment, then in .env, by attribute names; and what could not be read."""
    found: dict[str, Any] = {}
    dot_env, problems = _dot_env(folder)
    for layer in (os.environ, dot_env):
        # Names count in any case, as pydantic-settings has it; in capitals they come last and win.
        given = {name.lower(): text for name in sorted(layer, reverse=True) if (text := layer[name] or "").strip()}
        for secret in SECRET_FIELDS:
            if (path := given.get(f"{secret}_file")) and not given.get(secret) and not found.get(secret):
                given[secret] = _secret_in(path.strip(), secret, problems)
        found = {name: text for name, text in given.items() if text and name in Settings.model_fields} | found
    return found, problems


def _dot_env(folder: Path) -> tuple[Mapping[str, str | None], list[Words]]:
    try:
        return dotenv_values(folder / _DOT_ENV), []
    except OSError as error:
        return {}, [_wrong(_DOT_ENV, say("unread", path=folder / _DOT_ENV, why=because(error)))]
    except UnicodeDecodeError:
        return {}, [_wrong(_DOT_ENV, say("no text", path=folder / _DOT_ENV))]


def _secret_in(path: str, secret: str, problems: list[Words]) -> str:
    name = f"{secret.upper()}_FILE"
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        why = because(error) if isinstance(error, OSError) else say("secret no text")
        problems.append(_wrong(name, say("secret unreadable", why=why)))
        return ""
    if not text:
        problems.append(_wrong(name, say("secret empty")))
    return text


def misspelled(names: Iterable[str]) -> dict[str, str]:
    """Of `names`, those that are no setting but nearly one, and which one.

    >>> misspelled(["SMTP_PASSS", "smtp_pass", "REDIS_URI", "DB_USER", "CD_API_KEY", "METRICS_FILE"])
    {'SMTP_PASSS': 'SMTP_PASS', 'REDIS_URI': 'REDIS_URL', 'DB_USER': 'DB_USERNAME'}
    """
    known = [name.upper() for name in Settings.model_fields]
    strange = [name for name in names if not {name.upper(), name.upper().removesuffix("_FILE")} & set(known)]
    near = {name: difflib.get_close_matches(name.upper(), known, 1, _ALIKE) for name in strange}
    return {name: found[0] for name, found in near.items() if found}


def demonstrate_when_empty(folder: Path | None = None) -> bool:
    """Choose the embedded default when nothing at all is filled in: no seed name, no REDIS_URL, here or in .env.

    Returns whether it did. One filled-in name is enough to mean a real site, which must then be complete.
    """
    dot_env, unreadable = _dot_env(folder or script_folder())
    names = (*SEED_NAMES, "REDIS_URL", "DAP_CLIENT_ID", *(f"{secret.upper()}_FILE" for secret in SECRET_FIELDS))
    if unreadable or any((layer.get(name) or "").strip() for layer in (dot_env, os.environ) for name in names):
        return False
    demonstrate()
    return True


def demonstrate() -> None:
    """Choose the embedded default for this process."""
    os.environ.update(DB_HOST=EMBEDDED, REDIS_URL=EMBEDDED)


def script_folder() -> Path:
    """The folder of the main script, where .env lives; the current folder in an interactive session."""
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(script).resolve().parent if script else Path.cwd()


def _told(error: ValidationError) -> list[Words]:
    found: dict[str, Words] = {}
    for problem in error.errors(include_input=False, include_url=False):
        name = str(problem["loc"][0]).upper()
        found.setdefault(name, _wrong(name, _why(problem)))
    return list(found.values())


def _why(problem: ErrorDetails) -> Words:
    """What pydantic found wrong, in our words: fields.py raises them, the rest are limits."""
    context = problem.get("ctx", {})
    words = getattr(context.get("error"), "args", ())
    if words and isinstance(words[0], Words):
        return words[0]
    kinds = {
        "int_parsing": lambda: say("whole number"),
        "int_parsing_size": lambda: say("whole number"),
        "string_unicode": lambda: say("value no text"),
        "greater_than_equal": lambda: say("at least", least=context["ge"]),
        "less_than_equal": lambda: say("at most", most=context["le"]),
        "string_pattern_mismatch": lambda: say("one of", choices=_choices(context["pattern"])),
    }
    return kinds.get(problem["type"], lambda: say("malformed", kind=problem["type"]))()


def _choices(pattern: str) -> str:
    return pattern.strip("^()$").replace("|", ", ")


def _lenient(values: Mapping[str, Any], error: ValidationError) -> Settings:
    """The settings without the malformed ones, so that the missing ones are told in the same breath."""
    bad = {str(problem["loc"][0]) for problem in error.errors(include_input=False)}
    fields = Settings.model_fields
    fine = {name: fields[name].get_default(call_default_factory=True) for name in bad if name in fields}
    return Settings(**{**values, **fine})


def missing(settings: Settings) -> list[Words]:
    """What is needed and blank, one sentence each. Which settings may be blank is the design's own table."""
    found = _missing_database(settings) + _missing_paths(settings)
    if settings.path_concat != os.sep and len(settings.path_concat) > 1:
        found.append(_wrong("PATH_CONCAT", say("one character")))
    return found


def _missing_database(settings: Settings) -> list[Words]:
    if settings.embedded_database:
        return []
    wanting = [name for name in _DATABASE_FIELDS if name not in settings.model_fields_set]
    return [_wrong(name.upper(), say("missing database")) for name in wanting]


def _missing_for_worker(settings: Settings) -> list[Words]:
    # A worker of the embedded default comes through a private socket, without a password.
    return [problem for problem in _missing_database(settings) if _of(problem) != "DB_PASSWORD"]


def _missing_paths(settings: Settings) -> list[Words]:
    if settings.embedded_database and settings.path_data_files is None:
        return []  # the demonstration brings its own dump, command line and folders
    found = []
    if settings.path_data_files is None:
        found.append(_wrong("PATH_DATA_FILES", say("missing data files")))
    if settings.from_dap:
        return found + _missing_for_dap(settings)
    if settings.enable_download or settings.file_extension != "gz":
        why = say("needed to download" if settings.enable_download else "needed to unpack")
        if settings.path_canvas_config is None:
            found.append(_wrong("PATH_CANVAS_CONFIG", say("missing config", why=why)))
        if not settings.server_canvas_data_cli_command_path and settings.enable_download:
            found.append(_wrong("SERVER_CANVAS_DATA_CLI_COMMAND_PATH", say("missing command", why=why)))
    return found


def _missing_for_dap(settings: Settings) -> list[Words]:
    found = []
    if settings.enable_download:
        needed = ("server_dap_command_path", "dap_client_id", "dap_client_secret")
        blank = [name.upper() for name in needed if name not in settings.model_fields_set]
        found += [_wrong(name, say("missing for dap")) for name in blank]
    if settings.file_extension != "gz":
        found.append(_wrong("FILE_EXTENSION", say("dap unpacks nothing")))
    return found
