"""What a run creates is closed to other accounts, whatever the umask it was started with."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from udecdash_updater import DataUpdater
from udecdash_updater.settings import Settings


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_are_0640_or_less(umask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    before = os.umask(umask)
    try:
        assert DataUpdater(folder=tmp_path).launch().exit_code == 2  # a run that ends at once
        (tmp_path / "file").touch()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640 & ~umask
