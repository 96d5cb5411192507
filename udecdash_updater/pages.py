"""Pages and mails from templates/: HTML is escaped, text is not, and a missing value is an error."""

from __future__ import annotations

import functools
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from udecdash_updater.language import Both


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("udecdash_updater"),
        autoescape=select_autoescape(("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render(template: str, **values: object) -> str:
    """The named file of templates/ with `values` filled in."""
    return _environment().get_template(template).render(values)


@functools.cache
def words(template: str) -> Any:  # noqa: ANN401 - whatever names the file sets
    """The names that a file of words sets, as attributes."""
    return _environment().get_template(template).module


def stage(name: str) -> Both:
    """What a stage of the night is called in both languages.

    >>> stage("load tables").es
    'cargar tablas'
    """
    names = (words(f"report_words.{language}.j2").stage_names for language in ("en", "es"))
    return Both(*(str(known.get(name, name)) for known in names))


def safe(html: str) -> Markup:
    """HTML of ours, which is not escaped."""
    return Markup(html)  # noqa: S704 - never anything from outside
