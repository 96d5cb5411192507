"""unpack: all files of a table's folder into one text with a header line, altered as the original alters them."""

from __future__ import annotations

import codecs
import json
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from .config import Config
from .faults import Faults
from .logger import Logger
from .sync import CrashError

CHUNK = 64 * 1024
# What JavaScript's trim() takes for white space, which is not what str.strip() takes for it.
BLANK = "\t\n\v\f\r \xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000\ufeff"


def unpack(config: Config, logger: Logger, tables: list[str], faults: Faults) -> None:
    """Write unpackLocation/<table>.txt for each of `tables`. Raises CrashError."""
    faults.at("start")
    schema = _schema(config, logger)
    config.unpack_location.mkdir(parents=True, exist_ok=True)
    wanted = [table for table in schema["schema"].values() if table["tableName"] in tables]
    if not wanted:
        logger.warn("no files matched filter, nothing will be unpacked")
        return logger.info("unpack command completed successfully")
    outputs = [(table, config.unpack_location / f"{table['tableName']}.txt") for table in wanted]
    for table, path in outputs:  # all of them are emptied before the first is written
        logger.info(f"outputting {table['tableName']} to {path}")
        path.write_bytes(b"")
    for table, path in outputs:
        _table(table, config.save_location / table["tableName"], path)
        logger.info(f"finished with {table['tableName']}")
    return faults.at("end")


def _schema(config: Config, logger: Logger) -> Any:  # noqa: ANN401 - JSON
    path = config.save_location / "schema.json"
    if not path.exists():
        logger.error("could not find schema, have you downloaded files yet?")
        raise CrashError(f"[Error: ENOENT: no such file or directory, stat '{path}']")
    return json.loads(path.read_text(encoding="utf-8"))


def _table(table: dict[str, Any], folder: Path, path: Path) -> None:
    with path.open("wb") as out:
        out.write("\t".join(column["name"] for column in table["columns"]).encode() + b"\n")
        try:
            files = sorted(folder.iterdir(), key=os.fsencode)  # node's readdir sorts by bytes
        except OSError:
            raise CrashError(f"[Error: ENOENT: no such file or directory, scandir '{folder}']") from None
        for file in files:
            if file.is_dir():
                raise CrashError(_unhandled("EISDIR: illegal operation on a directory, read"))
            with file.open("rb") as source:
                for line in _lines(_decompressed(source)):
                    out.write(line.encode() + b"\n")


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    for chunk in chunks:
        *lines, rest = re.split(r"\r?\n", rest + decoder.decode(chunk))
        yield from (line for line in lines if line.strip(BLANK))
    rest += decoder.decode(b"", final=True)
    if rest.strip(BLANK):
        yield rest


def _decompressed(source: BinaryIO) -> Iterator[bytes]:
    """The contents of gzip (several members, too) or zlib data, with the original's errors. Raises CrashError."""
    stream = zlib.decompressobj(wbits=47)
    while chunk := source.read(CHUNK):
        while chunk:
            try:
                yield stream.decompress(chunk)
            except zlib.error as error:
                raise CrashError(_unhandled(str(error).rpartition(": ")[2])) from None
            chunk = stream.unused_data
            if stream.eof and chunk:
                if chunk[0] == 0:  # padding ends the file
                    return
                stream = zlib.decompressobj(wbits=47)
    if not stream.eof:
        raise CrashError(_unhandled("unexpected end of file"))


def _unhandled(text: str) -> str:
    return f"node:events:502\n      throw er; // Unhandled 'error' event\n      ^\n\nError: {text}"
