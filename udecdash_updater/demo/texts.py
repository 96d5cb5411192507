"""Texts: the words of a university, the nasty ones among them, and how a text is written in a dump."""

from __future__ import annotations

import re
from random import Random

_WORDS = (
    "álgebra energía señal lectura guía certamen módulo niño clase química español lengua año semana "
    "biología cálculo foro informe diseño encuesta práctica historia unidad apoyo física cronograma "
    "laboratorio evaluación programación estadística corazón introducción"
)
WORDS = tuple(_WORDS.split())
_FIRST_NAMES = "Ángela Begoña Camila Íñigo Nicolás Úrsula Martín Chloé José Ñusta Zoë Lautaro Rayén Ignacio"
FIRST_NAMES = tuple(_FIRST_NAMES.split())
LAST_NAMES = (
    "Muñoz", "Peña", "D'Angelo", "O'Higgins", "Ñancupil", "Pérez-Cotapos", "Sepúlveda", "de la Fuente",
    "Zúñiga", 'Soto "Chico"',
)  # fmt: skip
NASTY: dict[str, str] = {
    "tab": "uno\tdos\ttres",
    "newline": "primera\nsegunda\n\ncuarta",
    "carriage return": "solo\rretorno",
    "windows newline": "línea\r\nlínea",
    "control": "\b\f\v\x01\x1f",
    "one backslash": "\\",
    "two backslashes": "\\\\",
    "backslash at the end": "fin con barra\\",
    "windows path": "C:\\temp\\nueva\\rama\\bin",
    "backslash n as text": "\\n no es un salto",
    "backslash t as text": "\\t",
    "octal as text": "\\101 \\x41",
    "backslash N as text": "\\N",
    "end of data as text": "\\.",
    "end of data on its own line": "antes\n\\.\ndespués",
    "quotes": '"entre comillas"',
    "quotes inside": 'a"b"c',
    "one quote": '"',
    "doubled quotes": '""',
    "apostrophe": "'",
    "injection": "'); DROP TABLE requests; --",
    "html": "<p>A &amp; B <script>alert('x')</script></p>",
    "json": '{"clave": [1, null, "dos"]}',
    "commas": "uno,dos;tres|cuatro",
    "leading zeros": "000123",
    "number": "1.0",
    "exponent": "1e5",
    "null word": "NULL",
    "nan word": "nan",
    "na word": "NA",
    "none word": "None",
    "sheet error": "#N/A",
    "true word": "True",
    "formula": "=1+1",
    "date word": "2021-02-30",
    "leading blank": "  con espacios  ",
    "only blanks": "   ",
    "emoji": "😀 👩‍🏫 👨‍👩‍👧‍👦 🇨🇱",
    "byte order mark": "\ufeffmarca",
    "zero width": "cero\u200bancho",
    "combining": "e\u0301 combinado",
    "line separator": "ls\u2028ps\u2029nel\u0085fin",
    "no-break space": "a\u00a0b",
    "right to left": "árabe: مرحبا",
    "japanese": "日本語テスト",
    "last plane": "\U0010fffd\U00020000",
    "percent": "%41%20 %s %(x)s",
    "braces": "{0} {x} $1 $$ ${HOME}",
}
NASTY_NAMES = tuple(NASTY)
_READ = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}
_WRITTEN = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\b": "\\b", "\f": "\\f", "\v": "\\v"})


def escape(text: str) -> str:
    r"""A text as a field of a dump.

    >>> escape('a\tb' + chr(92) + 'N')
    'a\\tb\\\\N'
    """
    return text.translate(_WRITTEN)


def unescape(field: str) -> str:
    r"""The text that `escape` wrote.

    >>> unescape("a\\tb\\\\N") == "a" + chr(9) + "b" + chr(92) + "N"
    True
    """
    return re.sub(r"\\(.)", lambda found: _READ.get(found[1], found[1]), field)


def pick(rng: Random, things: tuple[str, ...]) -> str:
    """One of the things (not rng.choice, whose draws differ between Python versions)."""
    return things[int(rng.random() * len(things))]


def words(rng: Random, most: int) -> str:
    """Between one and `most` words."""
    return " ".join(pick(rng, WORDS) for _ in range(1 + int(rng.random() * most)))


def phrase(rng: Random, most: int = 6) -> tuple[str, str]:
    """A short text and the name of the nasty thing in it ("" if there is none)."""
    dice = rng.random()
    if dice > 0.2:
        return words(rng, most), ""
    kind = pick(rng, NASTY_NAMES)
    if dice > 0.1:
        return NASTY[kind], kind
    return f"{words(rng, 3)} {NASTY[kind]} {words(rng, 2)}", kind


def paragraphs(rng: Random) -> tuple[str, str]:
    """A text of several lines, as a page or a message holds it, and its kind."""
    dice = rng.random()
    if dice > 0.15:
        return phrase(rng, 12)
    if dice > 0.02:
        return f'<p>{words(rng, 12)}</p>\n<p class="x">{words(rng, 12)} 😀</p>', "paragraphs"
    return f'<p>{words(rng, 9)} \\ "largo"</p>\r\n\t' * 300, "long"


def person(rng: Random) -> tuple[str, str]:
    """A name, and the same as lists sort it."""
    first = pick(rng, FIRST_NAMES)
    last = f"{pick(rng, LAST_NAMES)} {pick(rng, LAST_NAMES)}"
    return f"{first} {last}", f"{last}, {first}"
