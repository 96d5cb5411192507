"""The command `udecdash-updater`: a thin mirror of the library; its exit codes are those of the run."""

from __future__ import annotations

import getpass
import logging
import sys
from datetime import datetime, timezone
from pathlib import Path

import click

from udecdash_updater import (
    checks,
    config,
    dispatch,
    embedded,
    findings,
    group,
    maintenance,
    report_page,
    sources,
    status,
    summary,
    terminal,
)
from udecdash_updater.command import Group, answer, folder_option, json_option, settings_of, speak, table_names
from udecdash_updater.language import Voice, Words, say
from udecdash_updater.options import RunOptions
from udecdash_updater.pipeline import DataUpdater
from udecdash_updater.settings import Settings
from udecdash_updater.version import VERSION

CONTEXT = {"help_option_names": ["-h", "--help"]}


@click.group(
    cls=Group,
    context_settings=CONTEXT,
    epilog="""\b
  Before the first night:   udecdash-updater check
  What would be loaded:     udecdash-updater run --dry-run
  One night:                udecdash-updater run
  How far it is:            udecdash-updater status""",
)
@click.version_option(VERSION)
def main() -> None:
    """Keep the UDECDash dashboard's PostgreSQL up to date from Canvas Data.

    The settings are those of main.py: the values that stand in it (it is read, not run), then the environment, then
    .env beside it. Say with --folder or UDECDASH_FOLDER where that is.
    """
    terminal.bear_any_text()


@main.command(
    epilog="""\b
Examples:
  udecdash-updater run                               one night, as cron runs main.py
  udecdash-updater run --dry-run                     what would be loaded; nothing is touched
  udecdash-updater run --table course_dim --wait     this table alone, and wait for its interactions
  udecdash-updater run --accept group_dim            group_dim really lost most of its rows

Exit codes: 0 done, 2 settings, 3 download, 4 data refused, 5 database, 6 queue or workers, 7 front end,
10 done with warnings, 75 another run is active, 1 anything else."""
)
@click.option(
    "--table",
    "tables",
    multiple=True,
    metavar="TABLE",
    shell_complete=table_names,
    help="Load only this table; may be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Tell what would be loaded from what lies on disk; touch nothing.")
@click.option("--wait", is_flag=True, help="Wait until the workers are done, INTERACTIONS_TIMEOUT seconds at most.")
@click.option("--accept", multiple=True, metavar="TABLE", help="Load this table however implausible it looks; or all.")
@folder_option
@json_option
def run(
    *, tables: tuple[str, ...], dry_run: bool, wait: bool, accept: tuple[str, ...], folder: Path, as_json: bool
) -> None:
    """Run one night: download, verify, load, enqueue."""
    speak(folder)
    config.adopt(folder)
    options = RunOptions(frozenset(accept), tables, dry_run=dry_run, wait=wait, silent=as_json)
    result = DataUpdater(folder=folder).launch(options)
    if as_json:
        answer(result)
    elif result.plan:
        terminal.show_plan(result.plan, sources.language(folder))
    sys.exit(result.exit_code)


@main.command(
    epilog="""\b
Examples:
  udecdash-updater check                    before the first night, and whenever something is odd
  udecdash-updater check --notify           also send a test mail
  udecdash-updater check --nagios           one line for Nagios, Icinga, Checkmk

Exit codes: 0 all is well, 10 warnings, else what a night would end with; with --nagios 0 OK, 1 warning, 2 critical."""
)
@click.option("--notify", is_flag=True, help="Send a test notice to NOTIFICATION_EMAILS and WEBHOOK_URL.")
@click.option("--nagios", is_flag=True, help="Answer with one line and the exit codes of a monitoring plug-in.")
@folder_option
@json_option
def check(*, notify: bool, nagios: bool, folder: Path, as_json: bool) -> None:
    """Check whether a night would work: settings, servers, rights, workers, mail. Nothing is changed."""
    if nagios and as_json:
        raise click.UsageError("--nagios and --json are two answers; ask for one of them.")
    speak(folder, logging.ERROR)
    found = checks.run(folder, notify=notify)
    code = findings.exit_code(found)
    if nagios:
        line, code = findings.nagios(found, sources.language(folder))
        click.echo(line)
    elif as_json:
        answer({"exit_code": code, "checks": found})
    else:
        terminal.show_findings(found, sources.language(folder))
    sys.exit(code)


@main.command(
    "status",
    epilog="""\b
Examples:
  udecdash-updater status                   once
  watch -n 2 udecdash-updater status        while a night is at work""",
)
@click.option(
    "--nights",
    type=click.IntRange(1),
    default=status.NIGHTS,
    show_default=True,
    help="How many of the last nights to show.",
)
@folder_option
@json_option
def status_command(*, nights: int, folder: Path, as_json: bool) -> None:
    """Show what runs now and how far it is, the last nights, and the courses that are not done."""
    settings = settings_of(folder, level=logging.WARNING)
    found = status.read(settings, nights=nights)
    if as_json:
        answer(found)
    else:
        terminal.show_status(found, settings.zone, settings.language)


@main.command(
    epilog="""\b
Examples:
  udecdash-updater report                   the newest run
  udecdash-updater report 12                run 12; `status` shows the numbers of the last ones
  udecdash-updater report --pages           its pages in REPORT_DIR too, as things stand now"""
)
@click.argument("run", type=click.IntRange(1), required=False)
@click.option("--pages", is_flag=True, help="Write the run's pages in REPORT_DIR anew, and say where on stderr.")
@folder_option
@json_option
def report(*, run: int | None, pages: bool, folder: Path, as_json: bool) -> None:
    """Show what a run did: each table, each stage, the interactions."""
    with embedded.visited(settings_of(folder, level=logging.WARNING)) as settings:
        found = summary.read(settings, run)
        if pages:
            click.echo(Voice(settings.language)("pages written", path=report_page.write(settings, run)), err=True)
    if as_json:
        answer(found)
    else:
        terminal.show_summary(found, settings.language)


@main.command(
    epilog="""\b
Examples:
  udecdash-updater requeue                  after Redis lost its jobs, or when the reason of failed ones is gone

It may be called at any time: a course that waits in a job already is left alone.
Exit codes: 0 done, 2 settings, 5 database, 6 Redis."""
)
@folder_option
@json_option
def requeue(*, folder: Path, as_json: bool) -> None:
    """Put every course that is due back into the queue: the ledger knows what Redis has lost."""
    settings = settings_of(folder)
    found = dispatch.requeue(settings)
    if as_json:
        answer({"exit_code": 0, "jobs": found.jobs, "courses": found.courses})
    else:
        click.echo(Voice(settings.language)("requeued", jobs=len(found.jobs), courses=found.courses))


@main.command()
@json_option
def demo(*, as_json: bool) -> None:
    """Run a made-up university's night on servers of its own. Each further call is its next night."""
    sources.demonstrate()
    result = DataUpdater(folder=Path.cwd()).launch(RunOptions(silent=as_json))
    if as_json:
        answer(result)
    sys.exit(result.exit_code)


@main.group(
    "maintenance",
    cls=Group,
    epilog="""\b
Examples:
  udecdash-updater maintenance on           before work of your own on the database
  udecdash-updater maintenance off          afterwards, or when the page was left up""",
)
def maintenance_group() -> None:
    """Put the front end's loading page up or away by hand. A night does both itself."""


@maintenance_group.command("on")
@folder_option
@json_option
def maintenance_on(*, folder: Path, as_json: bool) -> None:
    """Put the loading page up."""
    settings = settings_of(folder)
    up = maintenance.on(settings, started=datetime.now(timezone.utc))
    _tell_page(say("page put up" if up else "page none"), settings, up=up, as_json=as_json)


@maintenance_group.command("off")
@folder_option
@json_option
def maintenance_off(*, folder: Path, as_json: bool) -> None:
    """Put the dashboard's own page back, whatever state the folder is in."""
    settings = settings_of(folder)
    changed = maintenance.off(settings)
    _tell_page(say("page put away" if changed else "page was away"), settings, up=False, as_json=as_json)


def _tell_page(told: Words, settings: Settings, *, up: bool, as_json: bool) -> None:
    if as_json:
        answer({"up": up, "told": told})
    else:
        click.echo(told.text(settings.language))


@main.group(
    "config",
    cls=Group,
    epilog="""\b
Examples:
  udecdash-updater config sample > .env     begin with a file to fill in
  udecdash-updater config validate          are all settings there, and well formed?
  udecdash-updater config show              what counts, and where it comes from
  udecdash-updater config workers > /etc/supervisor/conf.d/udecdash-workers.conf""",
)
def config_group() -> None:
    """Look at the settings."""


@config_group.command("validate")
@folder_option
@json_option
def config_validate(*, folder: Path, as_json: bool) -> None:
    """Judge every setting; all mistakes are told at once, by name and without the values, and the exit code is 2."""
    settings = settings_of(folder)
    if as_json:
        answer({"valid": True})
    else:
        click.echo(Voice(settings.language)("settings valid"))


@config_group.command("sample")
@json_option
def config_sample(*, as_json: bool) -> None:
    """Print a .env to fill in: every setting with its default."""
    if as_json:
        answer({"sample": config.sample()})
    else:
        click.echo(config.sample(), nl=False)


@config_group.command("workers")
@click.option("--number", type=click.IntRange(1), help="How many workers in all; without it one for each queue.")
@folder_option
@json_option
def config_workers(*, number: int | None, folder: Path, as_json: bool) -> None:
    """Print the workers' programs for supervisord: as this account, in this folder, a program for each queue."""
    speak(folder)
    where = group.places(folder, getpass.getuser())
    text = group.configuration(config.read_for_workers(folder), where, number)
    if as_json:
        answer({"workers": text})
    else:
        click.echo(text, nl=False)


@config_group.command("show")
@folder_option
@json_option
def config_show(*, folder: Path, as_json: bool) -> None:
    """Show every setting that counts, secrets as ***, and its source: main.py, environment, .env or default."""
    speak(folder)
    found = config.shown(folder)
    if as_json:
        answer({one.name: {"value": one.value, "from": one.source} for one in found})
    else:
        terminal.show_settings(found, sources.language(folder))
