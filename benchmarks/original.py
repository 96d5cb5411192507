"""The original's way with the web log: pandas reads, filters and writes each file, COPY loads what it wrote.

python -m benchmarks.original < {"dsn": "...", "files": [...], "columns": [...]}

Needs the extra `benchmarks` (pandas). Prints {"seconds": ..., "peak_mib": ...}.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence

import psycopg2

from benchmarks.night import peak_mib
from udecdash_updater.sieve import KEPT

_TRASH = r"courses/[0-9]+/(?:ping$|activity_stream/summary$|quizzes/[0-9]+/submissions/backup\?user_id=[0-9])"


def load(dsn: str, files: Sequence[str], columns: Sequence[str]) -> None:
    """Read, filter, write, COPY, one file after the other; rows whose id is there already are left out."""
    import pandas as pd  # type: ignore[import-untyped] # noqa: PLC0415 - of this side alone

    with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
        for file in files:
            frame = pd.read_csv(file, sep="\t", header=None, names=columns, dtype=str, quoting=3, na_values=["\\N"],
                                keep_default_na=False)  # fmt: skip
            kept = frame[frame.user_id.notna() & frame.course_id.notna() & frame.real_user_id.isna()]
            kept = kept[kept.developer_key_id.isna() & ~kept.url.str.contains(_TRASH, regex=True, na=False)]
            cursor.execute("select id from requests")
            known = {row[0] for row in cursor}
            kept = kept[~kept.id.isin(known)].drop_duplicates("id")
            with tempfile.TemporaryFile("w+") as written:
                kept[list(KEPT)].to_csv(written, sep="\t", header=False, index=False, na_rep="\\N", quoting=3,
                                        escapechar="\x01")  # fmt: skip
                written.seek(0)
                cursor.copy_expert(f"copy requests ({', '.join(KEPT)}) from stdin", written)
            connection.commit()


def main() -> int:
    """Read what is asked, do it, tell the figures."""
    asked = json.load(sys.stdin)
    began = time.perf_counter()
    load(asked["dsn"], asked["files"], asked["columns"])
    sys.stdout.write(json.dumps({"seconds": time.perf_counter() - began, "peak_mib": peak_mib()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
