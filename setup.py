"""What pyproject.toml cannot say yet: the load's innermost loops, which are compiled where there is a C compiler."""

from pathlib import Path

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "udecdash_updater._compiled",
            sorted(map(str, Path("udecdash_updater/c").glob("*.c"))),
            depends=["udecdash_updater/c/text.h"],
            py_limited_api=True,  # one for each Python from 3.10 on, as text.h says
            optional=True,  # without a compiler Python does it all, and loads take longer
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
