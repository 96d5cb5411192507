"""What a dry run says before it looks at anything."""

from __future__ import annotations

import pytest

from udecdash_updater import plan
from udecdash_updater.errors import DumpError
from udecdash_updater.options import RunOptions
from udecdash_updater.settings import Settings


def test_a_dry_run_of_the_demonstration_says_that_its_dump_comes_while_it_runs() -> None:
    with pytest.raises(DumpError, match="makes its dump while it runs"):
        plan.make(Settings(db_host="embedded", path_data_files=None), RunOptions())
