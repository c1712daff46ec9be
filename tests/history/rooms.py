"""A room in the database at the end: its messages, its log, and when each user was a member."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from operator import attrgetter
from typing import Any

from tests.history.recorder import Record

_COLUMNS = ("seq", "id", "user", "key", "content", "deleted")


@dataclass(frozen=True, slots=True)
class Row:
    """A message in the table."""

    seq: int
    id: int
    user: str
    key: str
    content: str
    deleted: bool


@dataclass(slots=True)
class Stays:
    """The stays of a user in a room: the first and the last version for him, each time.

    The first is that of the change that added him: all users that one call adds receive all of its
    events. The last is that of his `user_left`; infinity if he was not removed.
    """

    firsts: list[int] = field(default_factory=list)
    lasts: list[float] = field(default_factory=list)

    def find_last(self, version: int) -> float:
        """Return the last version of the stay that began before a version; -1 if none did."""
        before = bisect_right(self.firsts, version)
        return self.lasts[before - 1] if before else -1


@dataclass(frozen=True, slots=True)
class Room:
    """A room at the end: rows by rising seq, the event of each version, the stays of each user.

    `added` and `deleted` are the versions of the two events of a message, by its id.
    """

    id: Any
    name: str
    version: int
    last_seq: int
    rows: list[Row]
    by_id: dict[int, Row]
    log: dict[int, Record]
    added: dict[int, int]
    deleted: dict[int, int]
    members: set[str]
    stays: dict[str, Stays]

    def may_see(self, user: str, version: int) -> bool:
        """Say whether the event of a version was for the user."""
        stays = self.stays.get(user)
        return stays is not None and version <= self.version and version <= stays.find_last(version)

    def had_member(self, user: str, version: int) -> bool:
        """Say whether the user was a member after the event of a version."""
        stays = self.stays.get(user)
        return stays is not None and version <= self.version and version < stays.find_last(version)

    def find_visible(self, user: str, first: int, last: int) -> Iterator[int]:
        """Return the versions from the first to the last whose events were for the user."""
        stays = self.stays.get(user, Stays())
        for begin, end in zip(stays.firsts, stays.lasts, strict=True):
            yield from range(max(begin, first), int(min(end, last, self.version)) + 1)


def read_room(record: Record) -> Room:
    """Read a `final_db` record."""
    rows = [Row(**{name: row[name] for name in _COLUMNS}) for row in record["messages"]]
    log = {event["version"]: event for event in record["events"]}
    return Room(
        id=record["room"],
        name=record["name"],
        version=record["version"],
        last_seq=record["last_seq"],
        rows=sorted(rows, key=attrgetter("seq", "id")),
        by_id={row.id: row for row in rows},
        log=log,
        added=_find_versions(log, "message_added"),
        deleted=_find_versions(log, "message_deleted"),
        members=set(record["members"]),
        stays=_read_stays(log),
    )


def _find_versions(log: dict[int, Record], kind: str) -> dict[int, int]:
    return {event["id"]: version for version, event in log.items() if event["type"] == kind}


def _read_stays(log: dict[int, Record]) -> dict[str, Stays]:
    """Pair each `user_joined` with the `user_left` that follows it."""
    stays: defaultdict[str, Stays] = defaultdict(Stays)
    for version, event in sorted(log.items()):
        if event["type"] == "user_joined":
            stays[event["user"]].firsts.append(event["change"])
            stays[event["user"]].lasts.append(inf)
        elif event["type"] == "user_left" and stays[event["user"]].lasts:
            stays[event["user"]].lasts[-1] = version
    return dict(stays)
