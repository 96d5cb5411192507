"""The settings that stand in main.py, for commands that are not main.py: its text is read, never run."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from udecdash_updater.errors import SettingsError
from udecdash_updater.language import because, say
from udecdash_updater.settings import Settings

MAIN = "main.py"


@dataclass(frozen=True, slots=True)
class Script:
    """What main.py sets: values by name; names whose values it computes, which reading cannot tell; other names."""

    values: dict[str, str] = field(default_factory=dict)
    computed: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()


def adopt(folder: Path) -> Script:
    """Put the settings of `folder`/main.py that are not blank into os.environ, as running it would.

    Raises SettingsError when main.py is no Python or cannot be read.
    """
    script = read(folder)
    os.environ.update(script.values)
    return script


def read(folder: Path) -> Script:
    """The settings in `folder`/main.py: in its dictionaries, and given to os.environ. None where there is no main.py.

    Raises as `adopt` does.
    """
    path = folder / MAIN
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Script()
    except OSError as error:
        raise SettingsError([say("problem", name=MAIN, what=say("unread", path=path, why=because(error)))]) from None
    except (SyntaxError, ValueError) as error:  # its text may hold a password
        line = error.lineno if isinstance(error, SyntaxError) else None
        what = say("main no python line", line=line, path=path) if line else say("main no python", path=path)
        raise SettingsError([say("problem", name=MAIN, what=what)]) from None
    given = list(_given(tree))
    found = [(name, _text(node)) for name, node in given if _is_setting(name)]
    values = {name: text for name, text in found if text is not None and text.strip()}
    computed = tuple(name for name, text in found if text is None and name not in values)
    return Script(values, computed, tuple(name for name, _ in given if name.isupper() and not _is_setting(name)))


def _is_setting(name: str) -> bool:
    fields = Settings.model_fields  # METRICS_FILE is one itself
    return name.isupper() and (name.lower() in fields or name.lower().removesuffix("_file") in fields)


def _given(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Names and values: of dictionaries, of keywords of os.environ.update, and of os.environ[...] = ..."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            yield from ((_name(key), value) for key, value in zip(node.keys, node.values, strict=True))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "os.environ.update":
            yield from ((word.arg, word.value) for word in node.keywords if word.arg)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Subscript) and ast.unparse(target.value) == "os.environ":
                    yield _name(target.slice), node.value


def _name(key: ast.expr | None) -> str:
    return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else ""


def _text(node: ast.expr) -> str | None:
    """The text of a value that stands there as it is; None of one that is computed.

    >>> [_text(ast.parse(source, mode="eval").body) for source in ("'a'", "5432", "True", "None", "secret()")]
    ['a', '5432', 'True', '', None]
    >>> _text(ast.parse("os.pathsep.join(['a@udec.cl', 'b@udec.cl'])", mode="eval").body)
    'a@udec.cl:b@udec.cl'
    """
    if isinstance(node, ast.Constant):
        return "" if node.value is None else str(node.value)
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "os.pathsep.join" and len(node.args) == 1:
        parts = node.args[0].elts if isinstance(node.args[0], ast.List | ast.Tuple) else [node.args[0]]
        texts = [_text(part) for part in parts]
        return None if None in texts else os.pathsep.join(text for text in texts if text is not None)
    return None
