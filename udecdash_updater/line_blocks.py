"""A table's lines as blocks of digests in the order of the files, and tonight's lines walked through beside them.

One pass tells which lines differ from those of the last load, whatever was put in, taken out or moved. Where two
sequences go on together hardly matters for that: what is left over on one side is held until the other side has it
too. So memory follows what differs, never the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

import xxhash

from udecdash_updater import rows

_T = TypeVar("_T")

_digest = xxhash.xxh3_64_digest
_content = xxhash.xxh3_128_digest
DIGEST = 8  # bytes of one
_MOST_LINES, _MOST_BYTES = 400, 1 << 18  # of a block: a row of a page, and little to hold while a walk is in it
_ODD_IN_KEYS = (b"\\", b"\r", b"\x00")  # a key is made of numbers, or of letters and digits
_STEP = 1 << 20  # from block to block, so that others find room between them for many nights


class UnlikeError(Exception):
    """Lines that only a comparison of all of them can judge."""


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring lines: their digests one after the other, and their keys, each ended by a newline.

    `ordinal`: blocks of a table stand in its order. A block may be empty. `keys`: empty where nobody needs them.
    `size`: the bytes of the lines with a newline each, and `content` their digest; 0 where that is not known.
    """

    ordinal: int
    digests: bytes
    keys: bytes = b""
    size: int = 0
    content: bytes = b""


Keys = Callable[[Sequence[bytes]], list[bytes]]
"""Takes the keys out of lines."""


def made(batches: Iterable[Sequence[bytes]], keys: Keys | None) -> Iterator[Block]:
    """The blocks of a table's lines, which come in batches. Raises what `keys` and `plain_keys` raise."""
    for number, lines in enumerate(_cut(batches)):
        yield _made(lines, _digests(lines), keys, number * _STEP)


def _cut(batches: Iterable[Sequence[bytes]]) -> Iterator[list[bytes]]:
    lines: list[bytes] = []
    size = 0
    for line in chain.from_iterable(batches):
        lines.append(line)
        size += len(line)
        if len(lines) >= _MOST_LINES or size >= _MOST_BYTES:
            yield lines
            lines, size = [], 0
    if lines:
        yield lines


def _are_one(lines: Sequence[bytes]) -> bool:
    """Whether `_cut` would leave them together; most of what it is asked is, and to look at each line takes long."""
    return len(lines) <= _MOST_LINES and sum(map(len, lines)) < _MOST_BYTES


def _made(lines: Sequence[bytes], digests: bytes, keys: Keys | None, ordinal: int) -> Block:
    text = rows.joined(lines)
    return Block(ordinal, digests, plain_keys(keys(lines)) if keys else b"", len(text), _content(text))


def plain_keys(keys: Iterable[bytes]) -> bytes:
    """The keys, each ended by a newline. Raises UnlikeError for one that no row of ours has as it is written."""
    joined = rows.joined(keys)
    if any(odd in joined for odd in _ODD_IN_KEYS):
        raise UnlikeError
    return joined


def _digests(lines: Iterable[bytes]) -> bytes:
    return b"".join(map(_digest, lines))


class Walk:
    """Tonight's lines beside the blocks of the last load.

    Afterwards `new` holds lines that the last load had not, in their order, and `gone` where those stood that
    tonight's files lack, as the ordinal of their block and their number in it; `lost` are the digests of these.
    `changed` gathers the blocks that hold other lines by now; whoever takes them may clear it in between.

    Lines of a table without `keys` may be equal; what is new or gone is told as often as it is then.

    Raises UnlikeError as soon as more than `most` lines, or `largest` bytes of them, differ.
    """

    def __init__(self, blocks: Iterator[Block], keys: Keys | None, most: int, largest: int) -> None:
        self.changed: list[Block] = []
        self.passed = 0  # lines of the last load
        self._met = 0  # lines of tonight
        self._keys, self._most, self._largest = keys, most, largest
        self._blocks = blocks
        self._old = Block(-1, b"")
        self._at = 0  # bytes of the old block's digests that lie behind us
        self._lines: list[bytes] = []  # tonight's, since the old block began
        self._digests = bytearray()  # theirs
        self._touched = False  # whether they are other ones than the old block's
        self._held = b""  # tonight's lines as they stand, which may be the beginning of all of the old block's
        self._skipped = memoryview(b"")  # these, if they were
        self._new: dict[bytes, list[bytes]] = {}
        self._gone: dict[bytes, list[tuple[int, int]]] = {}
        self._differing = self._size = 0

    @property
    def met(self) -> int:
        """How many lines of tonight have come."""
        return self._met + self._held.count(b"\n")

    @property
    def new(self) -> list[bytes]:
        """Lines that the last load had not."""
        return list(chain.from_iterable(self._new.values()))

    @property
    def gone(self) -> list[tuple[int, int]]:
        """Where lines stood that tonight's files lack."""
        return list(chain.from_iterable(self._gone.values()))

    @property
    def lost(self) -> list[bytes]:
        """The digests of lines that tonight's files lack."""
        return [digest for digest, places in self._gone.items() for _ in places]

    def go_on(self, text: bytes) -> None:
        """The next lines of tonight, each with its newline: blocks whose bytes are the same are not cut into lines."""
        text, at = self._held + text, 0
        while at < len(text):
            if self._at == len(self._old.digests) and self._next():
                continue
            if self._at == 0 and self._old.size and not self._lines:
                if len(text) - at < self._old.size:
                    break
                if self._skip(memoryview(text)[at : at + self._old.size]):
                    at += self._old.size
                    continue
            at = self._go_by_lines(text, at)
        self._held = text[at:]

    def _skip(self, text: memoryview) -> bool:
        """Pass all of the old block where its bytes are these."""
        if same := _content(text) == self._old.content:
            self._skipped, self._at = text, len(self._old.digests)
            self._met += self._at // DIGEST
        return same

    def _go_by_lines(self, text: bytes, at: int) -> int:
        """Go on with no more lines than are left of the old block; the place behind them."""
        if self._skipped:  # there is no block behind it, so what follows belongs to it
            self._take(bytes(self._skipped).split(b"\n"), self._old.digests, 0, len(self._old.digests))
            self._skipped = memoryview(b"")
        many = len(self._old.digests) // DIGEST
        left = many - self._at // DIGEST or _MOST_LINES
        likely = self._old.size * left // many if many else 0
        some = text[at : at + 2 * (likely or _MOST_BYTES)]  # all of the text would be copied with each cut
        *lines, _ = some.split(b"\n", left) if b"\n" in some else text[at:].split(b"\n", 1)
        self.go(lines)
        return at + sum(map(len, lines)) + len(lines)

    def go(self, lines: Sequence[bytes]) -> None:
        """The next lines of tonight."""
        digests, at = _digests(lines), 0
        self._met += len(lines)
        while at < len(digests):
            if self._at == len(self._old.digests) and self._next():
                continue
            if together := self._together(digests, at):
                self._take(lines, digests, at, at + together)
                self._at += together
                at += together
            else:
                at = self._part(lines, digests, at)

    def end(self) -> None:
        """There are no more lines of tonight."""
        held, self._held = self._held, b""
        self.go(held.split(b"\n")[:-1])
        self._lose(len(self._old.digests))
        while self._next():
            self._lose(len(self._old.digests))
        self._close(None)

    def _together(self, digests: bytes, at: int) -> int:
        """So many bytes go on alike from here."""
        old, here = self._old.digests, self._at
        length = min(len(digests) - at, len(old) - here)
        if digests[at : at + length] == old[here : here + length]:
            return length
        alike, unlike = 0, length // DIGEST
        while unlike - alike > 1:
            middle = (alike + unlike) // 2
            low, high = alike * DIGEST, middle * DIGEST
            if digests[at + low : at + high] == old[here + low : here + high]:
                alike = middle
            else:
                unlike = middle
        return alike * DIGEST

    def _part(self, lines: Sequence[bytes], digests: bytes, at: int) -> int:
        """Pass what differs here; the place in `digests` from which to go on."""
        self._touched = True
        old, here = self._old.digests, self._at
        ours, theirs = digests[at : at + DIGEST], old[here : here + DIGEST]
        if ours in self._gone or not theirs:  # it stood before the place that we have come to, or all of it is passed
            self._gain(lines, digests, at, at + DIGEST)
            return at + DIGEST
        if theirs in self._new:
            self._lose(here + DIGEST)
            return at
        until, back = _find(digests, theirs, at), _find(old, ours, here)
        if back > here and (until < 0 or back - here <= until - at):
            self._lose(back)
            return at
        if until < 0:
            until = at + DIGEST
            self._lose(here + DIGEST)
        self._gain(lines, digests, at, until)
        return until

    def _take(self, lines: Sequence[bytes], digests: bytes, start: int, end: int) -> None:
        self._lines += lines[start // DIGEST : end // DIGEST]
        self._digests += digests[start:end]

    def _gain(self, lines: Sequence[bytes], digests: bytes, start: int, end: int) -> None:
        """Lines of tonight that do not stand here in the last load."""
        self._take(lines, digests, start, end)
        for at in range(start, end, DIGEST):
            digest, line = digests[at : at + DIGEST], lines[at // DIGEST]
            if _pop(self._gone, digest) is not None:
                self._differing -= 1
            else:
                self._add(self._new, digest, line)
                self._size += len(line)
        self._demand_few()

    def _lose(self, end: int) -> None:
        """Lines of the last load that do not stand here tonight."""
        self._touched = self._touched or end > self._at
        for at in range(self._at, end, DIGEST):
            digest = self._old.digests[at : at + DIGEST]
            if (line := _pop(self._new, digest)) is not None:
                self._differing -= 1
                self._size -= len(line)
            else:
                self._add(self._gone, digest, (self._old.ordinal, at // DIGEST))
        self._at = end
        self._demand_few()

    def _add(self, held: dict[bytes, list[_T]], digest: bytes, one: _T) -> None:
        if self._keys and digest in held:
            raise UnlikeError
        held.setdefault(digest, []).append(one)
        self._differing += 1

    def _demand_few(self) -> None:
        if self._differing > self._most or self._size > self._largest:
            raise UnlikeError

    def _next(self) -> bool:
        """Go on to the next block of the last load; False when there is none."""
        following = next(self._blocks, None)
        if following is None:
            return False
        if following.ordinal <= self._old.ordinal or len(following.digests) % DIGEST:
            raise UnlikeError
        self._close(following.ordinal)
        self.passed += len(following.digests) // DIGEST
        self._old, self._at, self._skipped = following, 0, memoryview(b"")
        return True

    def _close(self, following: int | None) -> None:
        """The old block is passed; what stands in its place has room up to the ordinal of the one behind it, if any."""
        if self._touched:
            parts = [self._lines] if _are_one(self._lines) else list(_cut([self._lines]))
            first = max(self._old.ordinal, 0)
            step = _STEP if following is None else (following - first) // len(parts)
            if not step:
                raise UnlikeError
            begun = 0
            for number, lines in enumerate(parts):
                end = begun + len(lines) * DIGEST
                digests = bytes(self._digests[begun:end])
                self.changed.append(_made(lines, digests, self._keys, first + number * step))
                begun = end
        self._lines, self._touched = [], False
        self._digests.clear()


def _pop(held: dict[bytes, list[_T]], digest: bytes) -> _T | None:
    """One of those that have the digest, which is taken out."""
    if (found := held.get(digest)) is None:
        return None
    one = found.pop()
    if not found:
        del held[digest]
    return one


def _find(digests: bytes, digest: bytes, start: int) -> int:
    """Where a digest stands behind `start`; -1 where it does not."""
    at = digests.find(digest, start + DIGEST)
    while at % DIGEST and at > 0:
        at = digests.find(digest, at + 1)
    return at
