"""What administrators read in a terminal, in Spanish and English: all its words stand in templates/words_*.ini."""

from __future__ import annotations

import configparser
import errno
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from string import Formatter
from typing import Any, Protocol, runtime_checkable

from udecdash_updater.units import duration, size

LANGUAGES = ("es", "en")
_ONE = "one|"  # {count:one|course|courses}
# As Spanish writes numbers.
_DECIMALS = str.maketrans(",.", ".,")
_KINDS = {"size": size, "duration": duration, "number": "{:,.0f}".format, "share": "{:.0%}".format}


@runtime_checkable
class Spoken(Protocol):
    """What can be told in each language."""

    def text(self, language: str) -> str:
        """It in 'es' or 'en'."""


@dataclass(frozen=True, slots=True)
class Words:
    """A sentence by its key in words_*.ini, and the values that are filled in. As a text it is English."""

    key: str
    values: Mapping[str, object]

    def __str__(self) -> str:
        return self.text("en")

    def text(self, language: str) -> str:
        """The sentence in 'es' or 'en'. Raises KeyError where there is no such key, or a value is not given."""
        return _Writer(language).vformat(catalogue()[self.key][language], (), self.values)


@dataclass(frozen=True, slots=True)
class Both:
    """A text that is there in English and Spanish already. As a text it is English."""

    en: str
    es: str

    def __str__(self) -> str:
        return self.en

    def text(self, language: str) -> str:
        """The text in 'es' or 'en'."""
        return self.es if language == "es" else self.en


Told = Spoken | str
"""What is told: our words, an error, or a text from elsewhere that stays as it is."""


def say(key: str, **values: object) -> Words:
    """The words of this key with these values, which may be words too."""
    return Words(key, values)


def text(told: object, language: str) -> str:
    """What is told, in this language; what is not in both stays as it is.

    >>> text(say("disk free", bytes=1_500_000_000, folder="/srv"), "es"), text("as it is", "es")
    ('quedan 1,5 GB libres para /srv', 'as it is')
    """
    return told.text(language) if isinstance(told, Spoken) else str(told)


def joined(parts: Iterable[object], between: str = "", before: str = "") -> Both:
    """Several things that are told, one after the other in each language; `before` stands before each.

    >>> joined([say("no night yet"), "as it is"], "; ").text("es")
    'Todavía no hubo ninguna noche.; as it is'
    """
    kept = tuple(parts)
    return Both(*(between.join(before + text(part, language) for part in kept) for language in ("en", "es")))


def because(error: OSError) -> Told:
    """Why the operating system refuses, without the file's name.

    >>> because(PermissionError(13, "Permission denied")).text("es")
    'permiso denegado'
    """
    name = errno.errorcode.get(error.errno or 0, "")
    if f"os {name}" in catalogue():
        return say(f"os {name}")
    return error.strerror or str(error) or type(error).__name__


def written(value: float, kind: str, language: str) -> str:
    """A number of that kind (size, duration, number or share) as this language writes it.

    >>> written(1234567, "number", "es"), written(0.256, "share", "en"), written(7.25, "duration", "es")
    ('1.234.567', '26%', '7,2 s')
    """
    plain = _KINDS[kind](value)
    return plain.translate(_DECIMALS) if language == "es" else plain


@dataclass(frozen=True, slots=True)
class Voice:
    """What speaks one language: called with a key and values it gives the sentence."""

    language: str = "en"

    def __call__(self, key: str, **values: object) -> str:
        """The sentence of this key, with these values."""
        return Words(key, values).text(self.language)

    def number(self, value: float) -> str:
        """A whole number, its thousands apart."""
        return written(value, "number", self.language)


class _Writer(Formatter):
    """str.format, with the kinds of numbers above as format specifications: {bytes:size}, {seconds:duration}.

    {count:one|course|courses} is the first of the two where there is one, else the second.
    """

    def __init__(self, language: str) -> None:
        self._language = language

    def format_field(self, value: Any, format_spec: str) -> str:  # noqa: ANN401 - Formatter's signature
        """One value, filled in."""
        if format_spec in _KINDS:
            return written(value, format_spec, self._language)
        if format_spec.startswith(_ONE):
            _, one, many = format_spec.split("|")
            return one if value == 1 else many
        return format(text(value, self._language), format_spec)


@functools.cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """Every key with its sentence in each language."""
    found = configparser.ConfigParser(interpolation=None)
    for path in resources.files("udecdash_updater").joinpath("templates").iterdir():
        if path.name.startswith("words_"):
            found.read_string(path.read_text(encoding="utf-8"), path.name)
    return {key: dict(found[key]) for key in found.sections()}
