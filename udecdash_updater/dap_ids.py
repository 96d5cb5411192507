"""One id space: what Canvas Data 2 calls by its local id has the id that Canvas Data 1 gave it, where a site has such.

Canvas Data 1: id = shard * 10^13 + local id, but for users, whose ids no formula gives. A site without a history keeps
the local ids as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from udecdash_updater import db
from udecdash_updater.errors import DumpError, SettingsError
from udecdash_updater.language import Words, say
from udecdash_updater.settings import Settings

_PER_SHARD = 10**13


@dataclass(frozen=True, slots=True)
class Ids:
    """How local ids become the dashboard's: the shard (0: they stay as they are), and users that have another id."""

    shard: int
    users: Mapping[int, int] = field(default_factory=dict)

    def of(self, local: int) -> int:
        """The id of anything but a user; ids from 10^13 on belong to another shard and are whole already.

        >>> Ids(15).of(42), Ids(15).of(-42), Ids(0).of(42), Ids(15).of(170000000000042), Ids(15).of(0)
        (150000000000042, -150000000000042, 42, 170000000000042, 0)
        """
        if abs(local) >= _PER_SHARD or not local:
            return local
        return local + self.shard * _PER_SHARD * (1 if local > 0 else -1)

    def user(self, local: int) -> int:
        """The id of a user.

        >>> Ids(15, {42: -7}).user(42), Ids(15, {42: -7}).user(43)
        (-7, 150000000000043)
        """
        return self.users.get(local) or self.of(local)


def find(cursor: db.Cursor, settings: Settings) -> Ids:
    """How ids go on here: the shard that course_dim shows, else DAP_SHARD, else none.

    Raises SettingsError when DAP_SHARD is another than the shard there, DumpError when the ids there are of no one
    shard, DatabaseError when PostgreSQL fails.
    """
    shards = _shards(cursor)
    shard = settings.dap_shard
    if shard is None and len(shards) > 1:
        raise DumpError(
            say("several shards", shards=", ".join(map(str, shards))),
            hint=say("several shards hint"),
        )
    if shards and shard is not None and shard not in shards:
        there = say("ids local") if shards == [0] else say("ids of shard", shards=", ".join(map(str, shards)))
        what = say("another shard", shard=shard, there=there)
        raise SettingsError([say("problem", name="DAP_SHARD", what=what)])
    return Ids(shards[0] if shard is None and shards else shard or 0, _users(cursor))


def _shards(cursor: db.Cursor) -> list[int]:
    """The shards that the ids of course_dim show; the one of most courses first."""
    if not db.one(cursor, "table_exists", {"table": "course_dim"})[0]:
        return []
    found = db.rows(cursor, "dap_shards")
    if strange := [courses for shard, courses in found if shard is None]:
        raise DumpError(
            say("strange ids", count=strange[0]),
            hint=say("strange ids hint"),
        )
    return [int(shard) for shard, _ in found]


def _users(cursor: db.Cursor) -> dict[int, int]:
    if not db.one(cursor, "dap_users_known")[0]:
        return {}
    return dict(db.rows(cursor, "dap_users"))


def keep_users(cursor: db.Cursor, shard: int) -> None:
    """Remember the ids of user_dim that no formula gives, before rows of it may go."""
    if db.one(cursor, "table_exists", {"table": "user_dim"})[0]:
        db.run(cursor, "dap_keep_users", {"shard": shard})


def describe(cursor: db.Cursor, settings: Settings) -> Words:
    """How ids go on here, also before the first load; raises as `find` does."""
    shards, ids = _shards(cursor), find(cursor, settings)
    if not ids.shard:
        return say("ids of canvas there" if shards else "ids of canvas")
    there = db.one(cursor, "table_exists", {"table": "user_dim"})[0]
    kept = db.one(cursor, "dap_users_there", {"first": ids.of(1) - 1})[0] if there else 0
    whence = say("shard there" if shards else "shard set")
    return say("ids go on", shard=ids.shard, whence=whence, users=max(kept, len(ids.users)))
