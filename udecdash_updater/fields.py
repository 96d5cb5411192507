"""The kinds of settings: how the text of each is judged and what it becomes. What is wrong is told without the text."""

from __future__ import annotations

import functools
import os
import re
import shlex
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode
from redis.connection import parse_url

from udecdash_updater.language import say

EMBEDDED = "embedded"
_TOKEN_LENGTH = 8


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
            raise ValueError(say("flag"))
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
            raise ValueError(say("addresses"))
    return tuple(found)


def _limits(value: Any) -> Any:  # noqa: ANN401 - as above
    if not isinstance(value, str):
        return value
    try:
        limits = tuple(int(part) for part in value.split(","))
    except ValueError:
        raise ValueError(say("growing numbers")) from None
    if list(limits) != sorted(set(limits)) or limits[0] < 1:
        raise ValueError(say("growing numbers"))
    return limits


_zones = functools.cache(available_timezones)  # hundreds of files each time


def _zone(name: str) -> str:
    if name not in _zones():
        raise ValueError(say("time zone"))
    return name


def _identifier(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", name):
        raise ValueError(say("plain name"))
    return name


def _extension(value: Any) -> Any:  # noqa: ANN401 - as above
    return value.strip().lstrip(".").lower() if isinstance(value, str) else value


def _redis(given: SecretStr) -> SecretStr:
    url = given.get_secret_value().strip()
    if url.lower() == EMBEDDED:
        return SecretStr(EMBEDDED)
    try:
        fits = bool(re.match(r"(redis|rediss|unix)://[^\s/?][^\s]*$|unix:///\S+$", url)) and bool(parse_url(url))  # type: ignore[no-untyped-call] # redis' own
    except ValueError:  # its text would quote the password
        fits = False
    if not fits:
        raise ValueError(say("redis address"))
    return SecretStr(url)


def _web(given: SecretStr) -> SecretStr:
    url = given.get_secret_value().strip()
    try:
        parts = urlsplit(url)
        fits = bool(parts.hostname) and parts.username is None and (parts.port or 1) > 0
    except ValueError:  # its text would quote the address
        fits = False
    if url and not (fits and re.fullmatch(r"https?://[!-~]+", url, re.IGNORECASE)):
        raise ValueError(say("web address"))
    return SecretStr(url)


def redis_secrets(url: str) -> list[str]:
    """The passwords inside a Redis URL, as they are written there and as they are meant."""
    parts = urlsplit(url)
    written = [parts.password or "", *re.findall(r"[?&]password=([^&]*)", parts.query)]
    return [*written, *map(unquote, written), *parse_qs(parts.query).get("password", [])]


def web_secrets(url: str) -> list[str]:
    """The address, what follows its host, and the parts of that which are long enough to be tokens."""
    parts = urlsplit(url)
    tokens = [part for part in re.split("[/?&=]", f"{parts.path}?{parts.query}") if len(part) >= _TOKEN_LENGTH]
    whole = parts._replace(scheme="", netloc="").geturl()
    return [url, *([whole] if len(whole) >= _TOKEN_LENGTH else []), *tokens]


def _language(value: Any) -> Any:  # noqa: ANN401 - as above
    """Also the system's own LANGUAGE, a list of locales such as es_CL:es:en, whose first es or en counts."""
    if not isinstance(value, str) or not re.search("[_:]", value):
        return _strip(value)
    return next((part[:2] for part in value.split(":") if re.match("(es|en)([_.@]|$)", part)), "es")


def _command(text: str) -> str:
    try:
        shlex.split(text)
    except ValueError:
        raise ValueError(say("command")) from None
    return text


def _programs(text: str) -> str:
    names = text.replace(",", " ").split()
    if any(name == "all" or name.startswith("-") for name in names):
        raise ValueError(say("workers' group"))
    return text


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", text):
        raise ValueError(say("https address"))
    return text.rstrip("/")


def _dap_tables(value: Any) -> Any:  # noqa: ANN401 - as above
    """Names of tables of the Data Access Platform; without a namespace it is canvas."""
    if not isinstance(value, str):
        return value
    names = value.replace(",", " ").split()
    if not all(re.fullmatch(r"([a-z][a-z0-9_]{0,62}\.)?[a-z][a-z0-9_]{0,62}", name) for name in names):
        raise ValueError(say("tables of dap"))
    return tuple(name if "." in name else f"canvas.{name}" for name in names)


def _absolute(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise ValueError(say("no home")) from None


def default_home() -> Path:
    """Where servers of our own keep their data unless UDECDASH_HOME says otherwise."""
    try:
        base = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser()
    except RuntimeError:  # an account without a home: a path that says so where a folder is really needed
        base = Path("/nonexistent")
    return base / "udecdash-updater"


Port = Annotated[int, Field(ge=1, le=65535)]
Flag = Annotated[bool, BeforeValidator(_boolean)]
Text = Annotated[str, BeforeValidator(_strip)]
Folder = Annotated[Path, BeforeValidator(_strip), AfterValidator(_absolute)]
Emails = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_emails)]
Limits = Annotated[tuple[int, ...], NoDecode, BeforeValidator(_limits)]
Extension = Annotated[str, BeforeValidator(_extension), Field(pattern="^(gz|txt)$")]
Identifier = Annotated[Text, AfterValidator(_identifier)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis)]
WebUrl = Annotated[SecretStr, AfterValidator(_web)]
Zone = Annotated[Text, AfterValidator(_zone)]
Command = Annotated[Text, AfterValidator(_command)]
Programs = Annotated[Text, AfterValidator(_programs)]
Language = Annotated[str, BeforeValidator(_language), Field(pattern="^(es|en)$")]
Occasion = Annotated[Text, Field(pattern="^(failure|warning|always)$")]
SslMode = Annotated[Text, Field(pattern="^(disable|allow|prefer|require|verify-ca|verify-full)$")]
LogForm = Annotated[Text, Field(pattern="^(text|json)$")]
Source = Annotated[Text, Field(pattern="^(canvas-data-1|dap)$")]
Url = Annotated[Text, AfterValidator(_url)]
DapTables = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_dap_tables)]
MailTls = Annotated[Text, Field(pattern="^(auto|ssl|starttls|none)$")]
Positive = Annotated[int, Field(ge=1)]
