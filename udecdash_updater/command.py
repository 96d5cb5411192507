"""What every command has in common: errors told and their exit codes, --folder, --json, the settings that it reads."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from udecdash_updater import config, documents, dump, logs, sources
from udecdash_updater.errors import UpdaterError
from udecdash_updater.settings import Settings

_WANTS_JSON = "udecdash_updater.json"
_Function = TypeVar("_Function", bound=Callable[..., object])


class Command(click.Command):
    """Tells an UpdaterError on standard error, with --json as a document too, and exits with its code."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Run the command."""
        try:
            return super().invoke(ctx)
        except UpdaterError as error:
            if ctx.params.get("as_json"):
                answer({"exit_code": error.exit_code, "error": error})
            language = sources.language(ctx.params.get("folder") or Path())
            click.echo(f"{error.full(language)}\n{error.hint(language)}", err=True)
            ctx.exit(error.exit_code)


class Group(click.Group):
    """A group of such commands. Mistakes of usage are a document too, where one was asked for."""

    command_class = Command
    group_class = type

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Click's own; what was asked for is remembered while it is still there as it was typed."""
        with _told_as_document(ctx, wanted="--json" in args):
            ctx.meta.setdefault(_WANTS_JSON, "--json" in args)
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Run the command."""
        with _told_as_document(ctx, wanted=ctx.meta[_WANTS_JSON]):
            return super().invoke(ctx)


@contextlib.contextmanager
def _told_as_document(ctx: click.Context, *, wanted: bool) -> Iterator[None]:
    try:
        yield
    except click.UsageError as error:
        if wanted and ctx.parent is None:  # once, by the outermost group
            told = {"kind": "UsageError", "message": error.format_message(), "hint": f"{ctx.info_name} --help"}
            answer({"exit_code": error.exit_code, "error": told})
        raise


def answer(document: object) -> None:
    """Write the one JSON document that --json promises, without secrets."""
    unicode = "utf" in (getattr(sys.stdout, "encoding", None) or "utf").lower()
    click.echo(documents.text(document, logs.hidden, ascii_only=not unicode))


def folder_option(function: _Function) -> _Function:
    """--folder: where main.py and .env are."""
    return click.option(
        "--folder",
        type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path),
        envvar="UDECDASH_FOLDER",
        default=".",
        show_envvar=True,
        help="The folder of main.py and .env; the current one by default.",
    )(function)


def json_option(function: _Function) -> _Function:
    """--json: one document on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document.")(function)


def table_names(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """The tables of the dump on disk that begin so: for shell completion, which must never fail."""
    with contextlib.suppress(UpdaterError):
        settings = config.read(context.params.get("folder") or Path())
        if settings.path_data_files:
            names = dump.read_schema(settings.path_data_files / "schema.json")[1]
            return [name for name in names if name.startswith(begun)]
    return []


def speak(folder: Path, level: int = logging.INFO) -> None:
    """Set the log up as far as it is known before the settings are: in the language that they would have."""
    logs.configure(level=level, language=sources.language(folder))


def settings_of(folder: Path, *, level: int = logging.INFO) -> Settings:
    """The settings in `folder`, the log set up as they say."""
    speak(folder, level)
    settings = config.read(folder)
    logs.configure(settings.secrets(), form=settings.log_format, level=level, language=settings.language)
    return settings
