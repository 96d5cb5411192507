"""A file that is wholly the old one or wholly the new one, whoever reads it and whenever we are killed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

MODE = 0o640  # for others of the folder's group, such as a web server's; never for everyone


def write(path: Path, content: bytes) -> None:
    """Replace `path`, which may be missing or a link, by a file with this content; raises OSError."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".udecdash-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
            os.fchmod(descriptor, MODE)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
