"""The settings: read from the environment and .env, judged all at once, then frozen."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from dotenv import dotenv_values
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from udecdash_updater.errors import SettingsError

EMBEDDED = "embedded"
# The names of the first UDECDash updater, in the order of its template.
SEED_NAMES = (
    "DB_HOST",
    "DB_PORT",
    "DB_NAME",
    "DB_USERNAME",
    "DB_PASSWORD",
    "PATH_DATA_FILES",
    "PATH_CANVAS_CONFIG",
    "PATH_CONCAT",
    "SMTP_USER",
    "SMTP_PASS",
    "SMTP_HOST",
    "SMTP_PORT",
    "NOTIFICATION_EMAILS",
    "FIRST_DATA_UPDATE",
    "CLEAR_DIRECTORIES_BEFORE_DOWNLOAD",
    "ENABLE_DOWNLOAD",
    "FILE_EXTENSION",
    "SERVER_SUDO_PASSWORD",
    "SERVER_SUPERVISORD_COMMAND_PATH",
    "SERVER_CANVAS_DATA_CLI_COMMAND_PATH",
    "FRONTEND_DIR",
)
DATABASE_NAMES = ("DB_HOST", "DB_PORT", "DB_NAME", "DB_USERNAME", "DB_PASSWORD")
_DATABASE_FIELDS = tuple(name.lower() for name in DATABASE_NAMES)
_QUEUE_LIMITS = (12, 20, 30, 40, 50, 60, 70, 85, 110, 3000)


def _boolean(value: Any) -> Any:  # noqa: ANN401 - a validator sees whatever the source gave
    words = {
        "true": True,
        "1": True,
        "yes": True,
        "on": True,
        "false": False,
        "0": False,
        "no": False,
        "off": False,
    }
    if isinstance(value, str):
        if value.strip().lower() not in words:
            raise ValueError("must be True or False")
        return words[value.strip().lower()]
    return value


def _strip(value: Any) -> Any:  # noqa: ANN401 - as above
    return value.strip() if isinstance(value, str) else value


def _emails(value: Any) -> Any:  # noqa: ANN401 - as above
    if not isinstance(value, str):
        return value
    found = [part.strip() for part in re.split(f"[,;{re.escape(os.pathsep)}]", value) if part.strip()]
    for address in found:
        if not re.fullmatch(r"[^@\s<>\"]+@[^@\s<>\"]+", address):
            raise ValueError(
                "must be e-mail addresses, separated by the system's path separator, a comma or a semicolon"
            )
    return tuple(found)


def _limits(value: Any) -> Any:  # noqa: ANN401 - as above
    if not isinstance(value, str):
        return value
    try:
        limits = tuple(int(part) for part in value.split(","))
    except ValueError:
        raise ValueError("must be growing whole numbers separated by commas, as in 12,50,3000") from None
    if list(limits) != sorted(set(limits)) or limits[0] < 1:
        raise ValueError("must be growing whole numbers separated by commas, as in 12,50,3000")
    return limits


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("must be a time zone such as America/Santiago")
    return name


def _identifier(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", name):
        raise ValueError("must be a plain name: letters, digits and underscores")
    return name


def _extension(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]{1,16}", name.lstrip(".")):
        raise ValueError("must be gz, or the extension of the unpacked files, such as txt")
    return name.lstrip(".")


def _redis(url: SecretStr) -> SecretStr:
    if url.get_secret_value() != EMBEDDED and not re.match(r"(redis|rediss|unix)://\S+$", url.get_secret_value()):
        raise ValueError("must be redis://host:port/number, rediss://..., unix:///path or embedded")
    return url


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


Port = Annotated[int, Field(ge=1, le=65535)]
Flag = Annotated[bool, BeforeValidator(_boolean)]
Text = Annotated[str, BeforeValidator(_strip)]
Folder = Annotated[Path, BeforeValidator(_strip), AfterValidator(_absolute)]


class _SecretFiles(PydanticBaseSettingsSource):
    """DB_PASSWORD_FILE and the like: the secret stands in the file that the variable names."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ANN401 - pydantic's signature
        path = (
            self.current_state.get(f"{field_name}_file") or os.environ.get(f"{field_name.upper()}_FILE") or ""
        ).strip()
        return (Path(path).read_text(encoding="utf-8").strip() if path else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in ("db_password", "smtp_pass", "server_sudo_password", "redis_url"):
            try:
                value, _, _ = self.get_field_value(None, name)
            except OSError as error:
                raise SettingsError(
                    [f"{name.upper()}_FILE: {error.strerror}: the file it names cannot be read"]
                ) from None
            if value:
                found[name] = value
        return found


class Settings(BaseSettings):
    """One run's settings, as ../README.md lists them; attribute names are the variables' names in lower case.

    Secrets are SecretStr and print as ***. Made by `load`; `model_copy(update=...)` gives changed copies.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True, case_sensitive=False
    )

    db_host: Text = ""
    db_port: Port = 5432
    db_name: Text = ""
    db_username: Text = ""
    db_password: SecretStr = SecretStr("")
    path_data_files: Folder | None = None
    path_canvas_config: Folder | None = None
    path_concat: str = os.sep
    smtp_user: Text = ""
    smtp_pass: SecretStr = SecretStr("")
    smtp_host: Text = ""
    smtp_port: Port = 587
    notification_emails: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_emails)] = ()
    first_data_update: Flag = False
    clear_directories_before_download: Flag = False
    enable_download: Flag = True
    file_extension: Annotated[Text, AfterValidator(_extension)] = "gz"
    server_sudo_password: SecretStr = SecretStr("")
    server_supervisord_command_path: Text = ""
    server_canvas_data_cli_command_path: Text = ""
    frontend_dir: Folder | None = None

    db_schema: Annotated[Text, AfterValidator(_identifier)] = "public"
    redis_url: Annotated[SecretStr, AfterValidator(_redis)] = SecretStr("redis://127.0.0.1:6379/0")
    time_zone: Annotated[Text, AfterValidator(_zone)] = "America/Santiago"
    max_rejected_rows: Annotated[int, Field(ge=0)] = 100
    max_shrink_percent: Annotated[int, Field(ge=0, le=100)] = 30
    download_attempts: Annotated[int, Field(ge=1, le=20)] = 3
    download_timeout: Annotated[int, Field(ge=1)] = 6 * 3600
    supervisor_programs: Text = "udecdash-workers:*"
    supervisor_config: Folder | None = None
    supervisor_timeout: Annotated[int, Field(ge=1)] = 60
    queue_limits: Annotated[tuple[int, ...], NoDecode, BeforeValidator(_limits)] = _QUEUE_LIMITS
    load_connections: Annotated[int, Field(ge=1, le=32)] = 2
    interactions_timeout: Annotated[int, Field(ge=1)] = 3600
    notify_on: Annotated[Text, Field(pattern="^(failure|warning|always)$")] = "failure"
    language: Annotated[Text, Field(pattern="^(es|en)$")] = "es"
    db_sslmode: Annotated[Text, Field(pattern="^(disable|allow|prefer|require|verify-ca|verify-full)$")] = "prefer"
    db_sslrootcert: Text = ""
    smtp_tls: Annotated[Text, Field(pattern="^(auto|ssl|starttls|none)$")] = "auto"
    udecdash_home: Folder = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "udecdash-updater"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment first, then .env (design: what the main script sets is in the environment already)."""
        return init_settings, env_settings, dotenv_settings, _SecretFiles(settings_cls)

    @property
    def zone(self) -> ZoneInfo:
        """The dashboard's time zone (rule R5)."""
        return ZoneInfo(self.time_zone)

    @property
    def embedded_database(self) -> bool:
        """Whether a private PostgreSQL is wanted."""
        return self.db_host.lower() == EMBEDDED

    @property
    def embedded_redis(self) -> bool:
        """Whether a private Redis, with workers, is wanted."""
        return self.redis_url.get_secret_value() == EMBEDDED

    def secrets(self) -> tuple[str, ...]:
        """Every secret value, for the mask of logs and notices; the password inside REDIS_URL too."""
        url = self.redis_url.get_secret_value()
        inside = re.search(r"://[^@/]*:([^@/]+)@", url)
        values = [self.db_password, self.smtp_pass, self.server_sudo_password]
        return tuple(v.get_secret_value() for v in values if v.get_secret_value()) + (
            (inside.group(1),) if inside else ()
        )


def load(folder: Path | None = None) -> Settings:
    """Read the settings: the environment, then the .env of `folder` (default: beside the main script).

    Raises SettingsError that names every missing or malformed setting, never its value.
    """
    folder = folder or script_folder()
    try:
        settings = Settings(_env_file=folder / ".env")  # type: ignore[call-arg] # pydantic-settings' own argument
    except ValidationError as error:
        raise SettingsError(_told(error) + missing(_lenient(folder, error))) from None
    if problems := missing(settings):
        raise SettingsError(problems)
    return settings


def demonstrate_when_empty(folder: Path | None = None) -> bool:
    """Choose the embedded default when nothing at all is filled in: no seed name, no REDIS_URL, here or in .env.

    Returns whether it did. One filled-in name is enough to mean a real site, which must then be complete.
    """
    given = {**dotenv_values((folder or script_folder()) / ".env"), **os.environ}
    if any((given.get(name) or "").strip() for name in (*SEED_NAMES, "REDIS_URL")):
        return False
    demonstrate()
    return True


def demonstrate() -> None:
    """Choose the embedded default for this process."""
    os.environ.update(DB_HOST=EMBEDDED, REDIS_URL=EMBEDDED)


def load_for_worker() -> Settings:
    """A worker's settings: its environment, then the .env of its current folder; only DB_* must be there.

    Raises SettingsError as `load` does.
    """
    try:
        settings = Settings(_env_file=Path.cwd() / ".env")  # type: ignore[call-arg] # pydantic-settings' own argument
    except ValidationError as error:
        raise SettingsError(_told(error)) from None
    # A worker of the embedded default comes through a private socket, without a password.
    if problems := [problem for problem in _missing_database(settings) if not problem.startswith("DB_PASSWORD")]:
        raise SettingsError(problems)
    return settings


def script_folder() -> Path:
    """The folder of the main script, where .env lives; the current folder in an interactive session."""
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(script).resolve().parent if script else Path.cwd()


def _told(error: ValidationError) -> list[str]:
    found: dict[str, str] = {}
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        name = str(problem["loc"][0]).upper()
        found.setdefault(name, f"{name}: {problem['msg'].removeprefix('Value error, ')}")
    return list(found.values())


def _lenient(folder: Path, error: ValidationError) -> Settings:
    """The settings without the malformed ones, so that the missing ones are told in the same breath."""
    bad = {str(problem["loc"][0]) for problem in error.errors(include_input=False)}
    fine = {name: Settings.model_fields[name].get_default() for name in bad if name in Settings.model_fields}
    return Settings(_env_file=folder / ".env", **fine)  # type: ignore[call-arg] # pydantic-settings' own argument


def missing(settings: Settings) -> list[str]:
    """What is needed and blank, one sentence each. Which settings may be blank is the design's own table."""
    found = _missing_database(settings)
    found += _missing_paths(settings)
    if settings.path_concat != os.sep and len(settings.path_concat) > 1:
        found.append("PATH_CONCAT: must be one character, the system's path separator")
    return found


def _missing_database(settings: Settings) -> list[str]:
    if settings.embedded_database:
        return []
    wanting = [name for name in _DATABASE_FIELDS if name not in settings.model_fields_set]
    return [f"{n.upper()}: is missing or blank (DB_HOST=embedded starts a private server instead)" for n in wanting]


def _missing_paths(settings: Settings) -> list[str]:
    if settings.embedded_database and settings.path_data_files is None:
        return []  # the demonstration brings its own dump, command line and folders
    found = []
    if settings.path_data_files is None:
        found.append("PATH_DATA_FILES: is missing or blank; it is the dataFiles folder that canvasDataCli fills")
    if settings.enable_download or settings.file_extension != "gz":
        why = "needed because ENABLE_DOWNLOAD is on" if settings.enable_download else "needed to find unpacked files"
        if settings.path_canvas_config is None:
            found.append(f"PATH_CANVAS_CONFIG: is missing or blank; {why} (the folder of config.js)")
        if not settings.server_canvas_data_cli_command_path and settings.enable_download:
            found.append(f"SERVER_CANVAS_DATA_CLI_COMMAND_PATH: is missing or blank; {why}")
    return found
