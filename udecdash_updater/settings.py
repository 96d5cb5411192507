"""The settings: read from the environment and .env, judged all at once, then frozen."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from udecdash_updater.errors import SettingsError
from udecdash_updater.fields import (
    EMBEDDED,
    Command,
    DapTables,
    Emails,
    Extension,
    Flag,
    Folder,
    Identifier,
    Language,
    Limits,
    LogForm,
    MailTls,
    Occasion,
    Port,
    Positive,
    Programs,
    RedisUrl,
    Source,
    SslMode,
    Text,
    Url,
    WebUrl,
    Zone,
    default_home,
    redis_secrets,
    web_secrets,
)

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
_DATABASE_FIELDS = ("db_host", "db_port", "db_name", "db_username", "db_password")
_ADDRESSES = ("redis_url", "webhook_url", "heartbeat_url")
_SECRETS = ("db_password", "smtp_pass", "server_sudo_password", "dap_client_secret", *_ADDRESSES)
SECRET_NAMES = tuple(name.upper() for name in _SECRETS)
_QUEUE_LIMITS = (12, 20, 30, 40, 50, 60, 70, 85, 110, 3000)


class _NotBlank(PydanticBaseSettingsSource):
    """Another source's values without the blank ones: a blank setting is one that is not set."""

    def __init__(self, source: PydanticBaseSettingsSource) -> None:
        super().__init__(source.settings_cls)
        self._source = source

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ANN401 - pydantic's signature
        return self._source.get_field_value(field, field_name)

    def __call__(self) -> dict[str, Any]:
        return {name: v for name, v in self._source().items() if not isinstance(v, str) or v.strip()}


class Settings(BaseSettings):
    """One run's settings, as ../README.md lists them; attribute names are the variables' names in lower case.

    Secrets are SecretStr and print as ***. Made by `load`, which also reads .env and *_FILE; `Settings()` reads the
    environment alone. `model_copy(update=...)` gives changed copies.
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
    notification_emails: Emails = ()
    first_data_update: Flag = False
    clear_directories_before_download: Flag = False
    enable_download: Flag = True
    file_extension: Extension = "gz"
    server_sudo_password: SecretStr = SecretStr("")
    server_supervisord_command_path: Command = ""
    server_canvas_data_cli_command_path: Text = ""
    frontend_dir: Folder | None = None

    db_schema: Identifier = "public"
    redis_url: RedisUrl = SecretStr("redis://127.0.0.1:6379/0")
    time_zone: Zone = "America/Santiago"
    max_rejected_rows: Annotated[int, Field(ge=0)] = 100
    max_shrink_percent: Annotated[int, Field(ge=0, le=100)] = 30
    download_attempts: Annotated[int, Field(ge=1, le=20)] = 3
    download_timeout: Positive = 6 * 3600
    supervisor_programs: Programs = "udecdash-workers:*"
    supervisor_config: Folder | None = None
    supervisor_timeout: Positive = 60
    queue_limits: Limits = _QUEUE_LIMITS
    load_connections: Annotated[int, Field(ge=1, le=32)] = 2
    interactions_timeout: Positive = 3600
    notify_on: Occasion = "failure"
    webhook_url: WebUrl = SecretStr("")
    heartbeat_url: WebUrl = SecretStr("")
    report_dir: Folder | None = None
    metrics_file: Folder | None = None
    language: Language = "es"
    log_format: LogForm = "text"
    db_sslmode: SslMode = "prefer"
    db_sslrootcert: Text = ""
    smtp_tls: MailTls = "auto"
    source: Source = "canvas-data-1"
    server_dap_command_path: Text = ""
    dap_api_url: Url = "https://api-gateway.instructure.com"
    dap_client_id: Text = ""
    dap_client_secret: SecretStr = SecretStr("")
    dap_tables: DapTables = ()
    dap_jobs_per_minute: Positive = 5
    dap_shard: Positive | None = None
    udecdash_home: Folder = Field(default_factory=default_home)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given in the call, then the environment."""
        return init_settings, _NotBlank(env_settings)

    @property
    def zone(self) -> ZoneInfo:
        """The dashboard's time zone (rule R5)."""
        return ZoneInfo(self.time_zone)

    @property
    def embedded_database(self) -> bool:
        """Whether a private PostgreSQL is wanted."""
        return self.db_host.lower() == EMBEDDED

    @property
    def from_dap(self) -> bool:
        """Whether the data comes from Canvas Data 2, the Data Access Platform."""
        return self.source == "dap"

    @property
    def embedded_redis(self) -> bool:
        """Whether a private Redis, with workers, is wanted."""
        return self.redis_url.get_secret_value() == EMBEDDED

    def secrets(self) -> tuple[str, ...]:
        """Every secret value, for the mask of logs and notices; what is secret inside the addresses too."""
        values = [self.db_password, self.smtp_pass, self.server_sudo_password, self.dap_client_secret]
        found = [value.get_secret_value() for value in values] + redis_secrets(self.redis_url.get_secret_value())
        for address in (self.webhook_url, self.heartbeat_url):
            found += web_secrets(address.get_secret_value())
        return tuple(secret for secret in found if secret)


def load(folder: Path | None = None) -> Settings:
    """Read the settings: the environment, then the .env of `folder` (default: beside the main script).

    What the main script sets is in the environment already. Raises SettingsError that names every missing or
    malformed setting, never its value.
    """
    return _judged(folder or script_folder(), missing)


def load_for_worker() -> Settings:
    """A worker's settings: its environment, then the .env of its current folder; only DB_* must be there.

    Raises SettingsError as `load` does.
    """
    return _judged(Path.cwd(), _missing_for_worker)


def _judged(folder: Path, wanting: Callable[[Settings], list[str]]) -> Settings:
    values, problems = _given(folder)
    unread = [problem.partition("_FILE:")[0] for problem in problems]
    try:
        settings = Settings(**values)
    except ValidationError as error:
        problems += _told(error)
        settings = _lenient(values, error)
    problems += [problem for problem in wanting(settings) if problem.partition(":")[0] not in unread]
    if problems:
        raise SettingsError(problems)
    return settings


def _given(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """What is not blank in the environment, then in .env, by attribute names; and what could not be read."""
    found: dict[str, Any] = {}
    dot_env, problems = _dot_env(folder)
    for layer in (os.environ, dot_env):
        # Names count in any case, as pydantic-settings has it; in capitals they come last and win.
        given = {name.lower(): text for name in sorted(layer, reverse=True) if (text := layer[name] or "").strip()}
        for secret in _SECRETS:
            if (path := given.get(f"{secret}_file")) and not given.get(secret) and not found.get(secret):
                given[secret] = _secret_in(path.strip(), secret, problems)
        found = {name: text for name, text in given.items() if text and name in Settings.model_fields} | found
    return found, problems


def _dot_env(folder: Path) -> tuple[Mapping[str, str | None], list[str]]:
    try:
        return dotenv_values(folder / ".env"), []
    except OSError as error:
        return {}, [f".env: {error.strerror}: {folder / '.env'}"]
    except UnicodeDecodeError:
        return {}, [f".env: is not a text in UTF-8: {folder / '.env'}"]


def _secret_in(path: str, secret: str, problems: list[str]) -> str:
    name = f"{secret.upper()}_FILE"
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a text in UTF-8, or a path without a home"
        problems.append(f"{name}: the file that it names cannot be read ({why})")
        return ""
    if not text:
        problems.append(f"{name}: the file that it names is empty")
    return text


def demonstrate_when_empty(folder: Path | None = None) -> bool:
    """Choose the embedded default when nothing at all is filled in: no seed name, no REDIS_URL, here or in .env.

    Returns whether it did. One filled-in name is enough to mean a real site, which must then be complete.
    """
    dot_env, unreadable = _dot_env(folder or script_folder())
    names = (*SEED_NAMES, "REDIS_URL", "DAP_CLIENT_ID", *(f"{secret.upper()}_FILE" for secret in _SECRETS))
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


def _told(error: ValidationError) -> list[str]:
    found: dict[str, str] = {}
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        name = str(problem["loc"][0]).upper()
        found.setdefault(name, f"{name}: {problem['msg'].removeprefix('Value error, ')}")
    return list(found.values())


def _lenient(values: Mapping[str, Any], error: ValidationError) -> Settings:
    """The settings without the malformed ones, so that the missing ones are told in the same breath."""
    bad = {str(problem["loc"][0]) for problem in error.errors(include_input=False)}
    fields = Settings.model_fields
    fine = {name: fields[name].get_default(call_default_factory=True) for name in bad if name in fields}
    return Settings(**{**values, **fine})


def missing(settings: Settings) -> list[str]:
    """What is needed and blank, one sentence each. Which settings may be blank is the design's own table."""
    found = _missing_database(settings) + _missing_paths(settings)
    if settings.path_concat != os.sep and len(settings.path_concat) > 1:
        found.append("PATH_CONCAT: must be one character, the system's path separator")
    return found


def _missing_database(settings: Settings) -> list[str]:
    if settings.embedded_database:
        return []
    wanting = [name for name in _DATABASE_FIELDS if name not in settings.model_fields_set]
    return [f"{n.upper()}: is missing or blank (DB_HOST=embedded starts a private server instead)" for n in wanting]


def _missing_for_worker(settings: Settings) -> list[str]:
    # A worker of the embedded default comes through a private socket, without a password.
    return [problem for problem in _missing_database(settings) if not problem.startswith("DB_PASSWORD")]


def _missing_paths(settings: Settings) -> list[str]:
    if settings.embedded_database and settings.path_data_files is None:
        return []  # the demonstration brings its own dump, command line and folders
    found = []
    if settings.path_data_files is None:
        found.append("PATH_DATA_FILES: is missing or blank; it is the folder that the download fills")
    if settings.from_dap:
        return found + _missing_for_dap(settings)
    if settings.enable_download or settings.file_extension != "gz":
        why = "needed because ENABLE_DOWNLOAD is on" if settings.enable_download else "needed to find unpacked files"
        if settings.path_canvas_config is None:
            found.append(f"PATH_CANVAS_CONFIG: is missing or blank; {why} (the folder of config.js)")
        if not settings.server_canvas_data_cli_command_path and settings.enable_download:
            found.append(f"SERVER_CANVAS_DATA_CLI_COMMAND_PATH: is missing or blank; {why}")
    return found


def _missing_for_dap(settings: Settings) -> list[str]:
    found = []
    if settings.enable_download:
        needed = ("server_dap_command_path", "dap_client_id", "dap_client_secret")
        blank = [name.upper() for name in needed if name not in settings.model_fields_set]
        found += [f"{name}: is missing or blank; needed because SOURCE is dap and ENABLE_DOWNLOAD on" for name in blank]
    if settings.file_extension != "gz":
        found.append("FILE_EXTENSION: must be gz with SOURCE=dap; there is nothing to unpack")
    return found
