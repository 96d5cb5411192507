"""The command `udecdash-updater`: a thin mirror of the library; its exit codes are those of the run."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from udecdash_updater.pipeline import DataUpdater
from udecdash_updater.settings import demonstrate
from udecdash_updater.version import VERSION

CONTEXT = {"help_option_names": ["-h", "--help"]}


@click.group(context_settings=CONTEXT)
@click.version_option(VERSION)
def main() -> None:
    """Keep the UDECDash dashboard's PostgreSQL up to date from Canvas Data.

    Settings come from the environment and from .env in the current folder.
    """


@main.command()
def run() -> None:
    """Run one night: download, verify, load, enqueue.

    Exit codes: 0 done, 2 settings, 3 download, 4 data refused, 5 database, 6 queue or workers, 7 front end,
    10 done with warnings, 75 another run is active, 1 anything else.
    """
    sys.exit(DataUpdater(folder=Path.cwd()).launch().exit_code)


@main.command()
def demo() -> None:
    """Run one night of a made-up university on servers of its own; each further call is its next night."""
    demonstrate()
    sys.exit(DataUpdater(folder=Path.cwd()).launch().exit_code)
