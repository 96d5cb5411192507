"""Every setting: its name, its kind and its default; frozen once it is read. Where the values come from: sources.py."""

from __future__ import annotations

import os
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

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
ADDRESS_FIELDS = ("redis_url", "webhook_url", "heartbeat_url")
SECRET_FIELDS = ("db_password", "smtp_pass", "server_sudo_password", "dap_client_secret", *ADDRESS_FIELDS)
SECRET_NAMES = tuple(name.upper() for name in SECRET_FIELDS)
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

    Secrets are SecretStr and print as ***. Made by `sources.load`, which also reads .env and *_FILE; `Settings()`
    reads the environment alone. `model_copy(update=...)` gives changed copies.
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
