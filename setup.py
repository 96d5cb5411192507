"""What pyproject.toml cannot say yet: the load's innermost loops, which are compiled where there is a C compiler."""

import hashlib
import sysconfig
from pathlib import Path

from setuptools import Extension, setup

# One file for each Python from 3.10 on, as text.h says; a Python without its lock has no such interface.
FOR_ALL = not sysconfig.get_config_var("Py_GIL_DISABLED")
FOLDER = Path("udecdash_updater/c")
# As compiled.py reckons it: what was made of other sources is not used.
SOURCES = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(FOLDER.glob("*.[ch]")))).hexdigest()

setup(
    ext_modules=[
        Extension(
            "udecdash_updater._compiled",
            sorted(map(str, FOLDER.glob("*.c"))),
            depends=sorted(map(str, FOLDER.glob("*.h"))),
            define_macros=[("SOURCES", f'"{SOURCES}"')],
            py_limited_api=FOR_ALL,
            optional=True,  # without a compiler Python does it all, and loads take longer
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp310"}} if FOR_ALL else {},
)
