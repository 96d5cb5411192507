"""What must be in the database: keys and ids are gathered while they are planted, summed up at the end."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from hashlib import md5, sha256

from udecdash_updater.demo.browsers import DESKTOP, MOBILE
from udecdash_updater.demo.plans import KIND_OF_TABLE, KINDS
from udecdash_updater.demo.things import Course, Thing

USER_BITS, ITEM_BITS, SECOND_BITS = 18, 18, 26
USER_AT, ITEM_AT, SECOND_AT = ITEM_BITS + SECOND_BITS + 2, SECOND_BITS + 2, 2
_DAY = 86400


class Sums:
    """Checksums over lines that come in C order."""

    def __init__(self) -> None:
        self.count = 0
        self._sha = sha256()
        self._md5 = 0

    def add(self, lines: list[str]) -> None:
        """Take in further lines, all behind those already there."""
        self.count += len(lines)
        if lines:
            self._sha.update(("\n".join(lines) + "\n").encode())
        for line in lines:
            digest = md5(line.encode(), usedforsecurity=False).digest()
            self._md5 += int.from_bytes(digest[:8], "big")

    def figures(self) -> dict[str, object]:
        """`count`, `sha256` of the lines, and `md5sum64`, which SQL can sum up without sorting."""
        return {"count": self.count, "md5sum64": self._md5 % 2**64, "sha256": self._sha.hexdigest()}


class Ids:
    """Request ids, 16 bytes each."""

    def __init__(self) -> None:
        self._heaps = [bytearray() for _ in range(256)]

    def add(self, ident: int) -> None:
        """Take in an id that has not been seen."""
        self._heaps[ident >> 120] += ident.to_bytes(16, "big")

    def figures(self) -> dict[str, object]:
        """The checksums of the ids as text, one a line."""
        sums = Sums()
        for heap in self._heaps:
            raw = bytes(heap)
            ids = sorted(raw[at : at + 16] for at in range(0, len(raw), 16))
            sums.add([_guid(one.hex()) for one in ids])
        return sums.figures()


def _guid(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class Keys:
    """The interactions of one view (a dump alone, or all nights in turn), packed to 64 bits a request.

    From above: user, item, local second, 1 for MOBILE, 1 for downloaded; one array for each table, course
    and night of resolving, in load order.
    """

    def __init__(self) -> None:
        self._arrays: dict[tuple[str, int, int], array[int]] = {}
        self._courses: dict[int, Course] = {}

    def of(self, thing: Thing, course: Course, night: int) -> array[int]:
        """The array for requests of the course that lead to the thing."""
        self._courses[course.id] = course
        return self._arrays.setdefault((KIND_OF_TABLE[thing.table], course.id, night), array("Q"))

    def __len__(self) -> int:
        return sum(map(len, self._arrays.values()))

    def first_rows(self, kind: str, course: int) -> dict[int, tuple[int, bool]]:
        """By key (without the last two bits): those bits of the first row, and whether all rows agree."""
        first: dict[int, tuple[int, bool]] = {}
        nights = sorted(night for name, ident, night in self._arrays if (name, ident) == (kind, course))
        for night in nights:
            for packed in self._arrays[kind, course, night]:
                key, bits = packed >> 2, packed & 3
                known = first.get(key)
                if known is None:
                    first[key] = (bits, True)
                elif known[1] and known[0] != bits:
                    first[key] = (known[0], False)
        return first

    def courses(self) -> list[int]:
        """The ids of all courses in the order in which their keys sort."""
        return sorted(self._courses, key="{}|".format)


class Names:
    """What the packed numbers stand for."""

    def __init__(self, things: dict[str, list[Thing]], strangers: Iterable[Thing], epoch: date) -> None:
        self._users = {user.slot: str(user.id) for user in (*things["user_dim"], *strangers)}
        self._items = {
            KIND_OF_TABLE[table]: [str(thing.number) for thing in things.get(table, [])] for table in KIND_OF_TABLE
        }
        self._days = [(epoch + timedelta(days=day)).isoformat() for day in range(2**SECOND_BITS // _DAY)]

    def day(self, packed: int) -> str:
        """`user|local date` of a user-and-day number."""
        return f"{self._users[packed >> 16]}|{self._days[packed & 0xFFFF]}"

    def key(self, kind: str, key: int) -> str:
        """`item|user|local time` of a packed key."""
        user, item = key >> (USER_AT - 2), key >> (ITEM_AT - 2) & (2**ITEM_BITS - 1)
        day, second = divmod(key & (2**SECOND_BITS - 1), _DAY)
        clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        return f"{self._items[kind][item]}|{self._users[user]}|{self._days[day]} {clock}"


def interactions(keys: Keys, names: Names) -> dict[str, dict[str, object]]:
    """The eight tables: `must` (checksums of the keys), and of the keys with device (and downloaded)."""
    figures = {}
    days: dict[int, set[int]] = {}
    for kind in KINDS:
        figures[kind] = _one_table(keys, names, kind, days)
    sums = Sums()
    for course in keys.courses():
        sums.add(sorted(f"{course}|{names.day(packed)}" for packed in days[course]))
    figures["course_interactions"] = {"must": sums.figures()}
    return figures


def _one_table(keys: Keys, names: Names, kind: str, days: dict[int, set[int]]) -> dict[str, object]:
    sums, full = Sums(), Sums()
    sure = downloaded = possible = 0
    for course in keys.courses():
        first = keys.first_rows(kind, course)
        seen = days.setdefault(course, set())
        for key in first:
            seen.add(key >> (USER_AT - 2) << 16 | (key & (2**SECOND_BITS - 1)) // _DAY)
        lines = sorted((f"{course}|{names.key(kind, key)}", bits, agree) for key, (bits, agree) in first.items())
        sums.add([line for line, _, _ in lines])
        full.add([f"{line}|{_rest(kind, bits)}" for line, bits, _ in lines])
        sure += sum(agree for _, _, agree in lines)
        downloaded += sum(bits & 1 for _, bits, _ in lines)
        possible += sum(bits & 1 for _, bits, _ in lines)
    figures: dict[str, object] = {"keys_with_one_device": sure, "must": sums.figures()}
    figures["first_row"] = full.figures()
    if kind == "attachment_interactions":
        figures |= {"downloaded_certain": downloaded, "downloaded_possible": possible}
    return figures


def _rest(kind: str, bits: int) -> str:
    device = MOBILE if bits & 2 else DESKTOP
    if kind != "attachment_interactions":
        return device
    return f"{device}|{'t' if bits & 1 else 'f'}"


def key_lines(keys: Keys, names: Names, kind: str) -> Iterator[str]:
    """For people who look for a difference: each key with its device (and downloaded), in C order."""
    for course in keys.courses():
        first = keys.first_rows(kind, course)
        yield from sorted(f"{course}|{names.key(kind, key)}\t{_rest(kind, bits)}" for key, (bits, _) in first.items())
