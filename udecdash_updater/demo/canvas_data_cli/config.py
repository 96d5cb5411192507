"""config.js: a reader for the JavaScript that people write there, without a JavaScript engine."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

Value = str | float | bool | None | dict[str, "Value"]
REQUIRED = ("saveLocation", "apiUrl", "key", "secret")
SAMPLE = """
module.exports = {
  saveLocation: './dataFiles',
  unpackLocation: './unpackedFiles', // left out, it is 'unpackedFiles'
  apiUrl: 'https://api.inshosteddata.com/api',
  key: process.env.CD_API_KEY, // credentials are best kept in environment variables
  secret: process.env.CD_API_SECRET
}
"""
_TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|/\*.*?\*/)
      | (?P<string>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`(?:\\.|[^`\\])*`)
      | (?P<number>\d+(?:\.\d+)?)
      | (?P<name>[A-Za-z_$][\w$]*)
      | (?P<mark>\|\||\?\?|=>|===|.)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "\n": ""}


class ConfigError(Exception):
    """config.js holds something that this reader does not know."""


@dataclass(frozen=True)
class Config:
    """What config.js exports; relative paths count from the current folder, not from the file's."""

    values: dict[str, Value]

    def text(self, name: str) -> str:
        """The value of `name` as text, '' where it is missing."""
        value = self.values.get(name)
        return value if isinstance(value, str) else ""

    @property
    def save_location(self) -> Path:
        """Where the dump is kept."""
        return Path(os.path.normpath(Path.cwd() / self.text("saveLocation")))

    @property
    def unpack_location(self) -> Path:
        """Where unpacked tables go."""
        return Path(os.path.normpath(Path.cwd() / (self.text("unpackLocation") or "./unpackedFiles")))

    def missing(self) -> list[str]:
        """The needed fields that are absent or empty."""
        return [name for name in REQUIRED if not self.values.get(name)]


def read(path: Path) -> Config:
    """Read config.js at `path`. Raises ConfigError for JavaScript beyond literals, names, + || ?? and paths."""
    return Config(_Reader(path.read_text(encoding="utf-8"), path.resolve()).exported())


def _unquoted(literal: str) -> str:
    return re.sub(
        r"\\(u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|.)",
        lambda found: chr(int(found[1][1:], 16)) if len(found[1]) > 1 else _ESCAPES.get(found[1], found[1]),
        literal[1:-1],
        flags=re.DOTALL,
    )


class _Reader:
    """A recursive descent over the tokens; one statement after another, until nothing is left."""

    def __init__(self, source: str, path: Path) -> None:
        found = [(str(match.lastgroup), match[0]) for match in _TOKEN.finditer(source)]
        self._tokens = [token for token in found if token[0] != "skip"]
        self._at = 0
        self._names: dict[str, Value] = {"__dirname": str(path.parent), "__filename": str(path)}
        self._names |= {"undefined": None, "null": None, "true": True, "false": False}

    def exported(self) -> dict[str, Value]:
        exports: dict[str, Value] = {}
        while self._at < len(self._tokens):
            if self._take("const") or self._take("let") or self._take("var"):
                self._declare()
            elif self._take("module") or self._peek() == "exports":
                target = self._target()
                value = self._expression()
                if target is None:
                    exports = value if isinstance(value, dict) else {}
                else:
                    exports[target] = value
            elif not (self._take(";") or self._statement_string()):
                raise ConfigError(f"unexpected token {self._peek()}")
        return exports

    def _statement_string(self) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at][0] == "string":  # 'use strict'
            self._at += 1
            return True
        return False

    def _target(self) -> str | None:
        """After `module` or at `exports`: the field that is assigned, None for the whole."""
        self._take(".")
        self._need("exports")
        field = self._next() if self._take(".") else None
        self._need("=")
        return field

    def _declare(self) -> None:
        name = self._next()
        self._need("=")
        self._names[name] = self._expression()

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _take(self, text: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at][1] == text:
            self._at += 1
            return True
        return False

    def _need(self, text: str) -> None:
        if not self._take(text):
            raise ConfigError(f"expected {text} before {self._peek() or 'the end'}")

    def _expression(self) -> Value:
        value = self._sum()
        while self._peek() in ("||", "??"):
            nullish = self._next() == "??"
            other = self._sum()
            value = other if (value is None if nullish else not value) else value
        return value

    def _sum(self) -> Value:
        value = self._operand()
        while self._take("+"):
            value = str(value) + str(self._operand())
        return value

    def _operand(self) -> Value:
        kind, word = self._tokens[self._at] if self._at < len(self._tokens) else ("mark", "")
        if word == "{":
            return self._object()
        self._at += 1
        if word == "(":
            value = self._expression()
            self._need(")")
            return value
        if kind == "string":
            return self._template(word) if word[0] == "`" else _unquoted(word)
        if kind == "number":
            return float(word)
        if kind == "name":
            return self._named(word)
        raise ConfigError(f"unexpected token {word or 'end of file'}")

    def _template(self, token: str) -> str:
        return re.sub(
            r"\$\{\s*(?:process\.env\.)?([\w$]+)\s*\}",
            lambda found: str(os.environ.get(found[1]) or self._names.get(found[1], "undefined")),
            _unquoted(token),
        )

    def _named(self, name: str) -> Value:
        if name == "process":
            for part in (".", "env", "."):
                self._need(part)
            return os.environ.get(self._next())
        if name == "require":
            self._arguments()
            return "require"
        if self._take("."):
            return self._path_call(self._next())
        if name not in self._names:
            raise ConfigError(f"{name} is not defined")
        return self._names[name]

    def _path_call(self, function: str) -> str:
        parts = [str(part) for part in self._arguments()]
        if function not in ("join", "resolve"):
            raise ConfigError(f"{function} is not a function this reader knows")
        base = Path.cwd() if function == "resolve" else Path()
        return os.path.normpath(base.joinpath(*parts))

    def _arguments(self) -> list[Value]:
        self._need("(")
        found: list[Value] = []
        while not self._take(")"):
            found.append(self._expression())
            self._take(",")
        return found

    def _object(self) -> dict[str, Value]:
        self._need("{")
        found: dict[str, Value] = {}
        while not self._take("}"):
            kind, token = self._tokens[self._at] if self._at < len(self._tokens) else ("mark", "")
            self._at += 1
            if kind not in ("string", "name", "number"):
                raise ConfigError(f"unexpected token {token or 'end of file'}")
            name = _unquoted(token) if kind == "string" else token
            found[name] = self._expression() if self._take(":") else self._names.get(name)
            if not self._take(",") and self._peek() != "}":
                raise ConfigError(f"unexpected token {self._peek() or 'end of file'}")
        return found
