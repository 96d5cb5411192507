"""Canvas Data 2 as a source: batches of snapshots and changes that the client `dap` fetched, table by table."""

from __future__ import annotations

from udecdash_updater import dap, dap_batches
from udecdash_updater.errors import DumpError
from udecdash_updater.logs import LOGGER
from udecdash_updater.night import Night, Source


def check(night: Night) -> None:
    """The client is there, and the service takes our key."""
    if night.settings.enable_download:
        dap.check(night.settings)


def clear(night: Night) -> None:
    """Nothing is moved: what has to come anew comes as a snapshot, which replaces what lies there."""
    if night.settings.clear_directories_before_download and not night.settings.enable_download:
        LOGGER.warning("CLEAR_DIRECTORIES_BEFORE_DOWNLOAD is ignored: with ENABLE_DOWNLOAD off nothing would come back")


def download(night: Night) -> None:
    """Every table's next batch is fetched."""
    if night.settings.enable_download:
        dap.download(night.settings)


def verify(night: Night) -> None:
    """The batches on disk are those that were downloaded; each archive was read to its end then."""
    night.batches = tuple(dap_batches.read(night.data_files))
    damaged = [f"{batch.name}: {why}" for batch in night.batches if (why := batch.damage())]
    if damaged:
        raise DumpError(
            "Batches are damaged:" + "".join(f"\n  - {told}" for told in damaged),
            hint="Delete the folders of these batches and run again: what they held is fetched anew.",
        )


def load_tables(night: Night) -> None:
    """Not there yet: what is downloaded stays on disk until a version that loads it."""
    raise DumpError("Canvas Data 2 is downloaded, but this version cannot load it yet.")


def load_requests(night: Night) -> None:
    """See `load_tables`."""


SOURCE = Source(check, clear, download, verify, load_tables, load_requests)
