"""Canvas Data 2 as a source: batches of snapshots and changes that the client `dap` fetched, table by table."""

from __future__ import annotations

from collections.abc import Iterator

from udecdash_updater import dap, dap_batches, dap_load, dump, plausibility
from udecdash_updater.dump import DumpFile
from udecdash_updater.errors import DumpError
from udecdash_updater.language import because, joined, say
from udecdash_updater.logs import LOGGER
from udecdash_updater.night import Night, Source


def check(night: Night) -> None:
    """The client is there, and the service takes our key."""
    if night.settings.enable_download:
        dap.check(night.settings)


def clear(night: Night) -> None:
    """Nothing is moved: what has to come anew comes as a snapshot, which replaces what lies there."""
    if night.settings.clear_directories_before_download and not night.settings.enable_download:
        LOGGER.warning(say("clear ignored"))


def download(night: Night) -> None:
    """Every table's next batch is fetched."""
    if night.settings.enable_download:
        dap.download(night.settings)


def verify(night: Night) -> None:
    """The batches on disk are those that were downloaded; each archive was read to its end then."""
    night.batches = tuple(dap_batches.read(night.data_files))
    damaged = [say("problem", name=batch.name, what=why) for batch in night.batches if (why := batch.damage())]
    if damaged:
        raise DumpError(say("batches damaged", told=joined(damaged, before="\n  - ")), hint=say("batches damaged hint"))
    if only := night.options.tables:
        night.batches = tuple(batch for batch in night.batches if {batch.table, batch.name} & set(only))
    _verify_web_log(night)


def _verify_web_log(night: Night) -> None:
    """Its archives are read to their end: their earliest times tell the order in which they are loaded (R14)."""
    files = dap_load.web_log_files(night.settings, night.batches)
    sound, broken = dump.verify(files, threads=night.settings.load_connections)
    if broken:
        raise dump.damaged_error(broken)
    night.request_files = tuple(sound)


def load_tables(night: Night) -> None:
    """The tables of Canvas Data 2 and the dashboard's relations on top of them, in one transaction."""
    if removed := dap_load.removed_columns(night.settings, night.batches):
        night.warn(say("dap removed", names=", ".join(removed)))
    with night.progress.over(_files(night)):
        done = dap_load.load(night.settings, night.batches, night.run, night.options)
    night.published = done.published
    for table, reason in night.open_ledger.rows("accepted_doubts"):
        night.warn(say("was accepted", table=table, reason=plausibility.reason(reason)))
    if done.widened:
        night.warn(say("dap fitted", told=joined(done.widened, "; ")))
    if altered := [name for merged in done.merged for name in merged.altered]:
        night.warn(say("dap altered", told=joined(altered, "; ")))
    if done.waiting:
        night.warn(say("dap waiting", names=", ".join(done.waiting)))
    written, gone = (sum(getattr(one, name) for one in done.merged) for name in ("written", "gone"))
    LOGGER.info(say("dap merged", count=len(done.merged), written=written, gone=gone))
    changes = {name: sum(getattr(p, name) for p in done.published) for name in ("rows", "new", "changed", "gone")}
    LOGGER.info(say("tables loaded", count=len(done.published), **changes))


def _files(night: Night) -> Iterator[DumpFile]:
    """What the stage "load tables" reads, to tell how far it is."""
    for batch in night.batches:
        if batch.name != dap_batches.WEB_LOGS:
            sizes = (file.size for file in batch.files)
            yield from (DumpFile(batch.name, *told, ()) for told in zip(batch.paths, sizes, strict=True))


def load_requests(night: Night) -> None:
    """What is new of the web log, in one transaction; then the batches have done their work and go."""
    with night.progress.over(night.request_files):
        loaded = dap_load.load_web_log(night.settings, night.batches, night.request_files, night.run)
    LOGGER.info(say("web logs loaded", new=loaded.new, files=len(loaded.counts)))
    if loaded.vanished:
        night.warn(say("requests vanish", count=loaded.vanished))
    try:
        dap_batches.forget(night.batches)
    except OSError as error:  # all of it is loaded, and the ledger knows that
        night.warn(say("batches stay", path=error.filename or night.data_files, why=because(error)))


SOURCE = Source(check, clear, download, verify, load_tables, load_requests)
