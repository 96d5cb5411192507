"""`python -m udecdash_updater` is the command `udecdash-updater`."""

from __future__ import annotations

from udecdash_updater.cli import main

main(prog_name="udecdash-updater")
