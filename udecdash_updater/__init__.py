"""Keeps the PostgreSQL of the UDECDash dashboard up to date from Canvas Data.

The public face: `DataUpdater().launch()` is one night; see main_example.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from udecdash_updater.version import VERSION as __version__  # noqa: N811 - the name that Python gives to a package's version

if TYPE_CHECKING:
    from udecdash_updater.errors import UpdaterError
    from udecdash_updater.pipeline import DataUpdater, RunResult
    from udecdash_updater.settings import Settings
    from udecdash_updater.sources import demonstrate_when_empty

__all__ = ["DataUpdater", "RunResult", "Settings", "UpdaterError", "__version__", "demonstrate_when_empty"]
_HOMES = {
    "DataUpdater": "pipeline",
    "RunResult": "pipeline",
    "Settings": "settings",
    "UpdaterError": "errors",
    "demonstrate_when_empty": "sources",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - what a module's attributes are
    # Loaded when asked for: the programs inside the package (workers, guard, demo) start without the whole of it.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - as above

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
