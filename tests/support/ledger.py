"""Everything that the database has of a room, and the rules between its parts."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chat.queries.events import list_events
from chat.realtime.channels import personal_channel
from chat.sql.database import run_call
from tests.conftest import Connection
from tests.support.memberships import add_members

Event = dict[str, Any]

BULK_LIMIT = 20_000
_CHUNK = 1000
_AUDITOR = "auditor of the tests"


@dataclass(frozen=True, slots=True)
class Queued:
    """A row of the outbox."""

    id: int
    key: str
    partition: int
    channels: list[str]
    event: Event

    @property
    def version(self) -> int:
        """The room's version that the event carries."""
        version: int = self.event["body"]["room"]["version"]
        return version


@dataclass(frozen=True, slots=True)
class Ledger:
    """A room with its members, its messages by seq, its log by version, its outbox rows by id."""

    room: dict[str, Any]
    members: dict[str, int]
    messages: list[dict[str, Any]]
    log: list[Event]
    queued: list[Queued]

    @property
    def seqs(self) -> list[int]:
        """The seqs of the messages."""
        return [message["seq"] for message in self.messages]

    @property
    def contents(self) -> list[str]:
        """The messages' texts."""
        return [message["content"] for message in self.messages]

    def audience(self, version: int) -> set[str]:
        """Return the channels that the event of a version was queued for."""
        return {
            channel
            for queued in self.queued
            if queued.version == version
            for channel in queued.channels
        }


def read_log(connection: Connection, room_id: int) -> list[Event]:
    """Return the room's whole log as clients receive it.

    Only a member may read it, so an auditor joins, reads, and is rolled back. Meanwhile the room is
    one that a user may be added to.
    """
    with connection.transaction(force_rollback=True):
        connection.execute(
            "UPDATE chat_room SET kind = 'public', archived_at = NULL, history = 'all'"
            " WHERE id = %s AND (kind = 'direct' OR archived_at IS NOT NULL OR history <> 'all')",
            [room_id],
        )
        run_call(connection, add_members(room_id, [_AUDITOR]))
        events = run_call(connection, list_events(room_id, _AUDITOR, after=0, limit=1_000_000))
        return [json.loads(bytes(event)) for event in events][:-1]


def read_outbox(
    connection: Connection, *, after: int = 0, room_id: int | None = None
) -> list[Queued]:
    """Return the rows after an outbox id, of one room or of all, in the order of ids."""
    return [
        Queued(
            id=row["id"],
            key=row["payload"]["idempotency_key"],
            partition=row["partition"],
            channels=row["payload"]["channels"],
            event=row["payload"]["data"],
        )
        for row in connection.execute(
            "SELECT id, partition, payload FROM chat_outbox WHERE id > %s AND method = 'broadcast'"
            " AND (%s::text IS NULL OR payload #>> '{data,body,room,id}' = %s::text) ORDER BY id",
            [after, room_id, room_id],
        )
    ]


def read_ledger(connection: Connection, room_id: int) -> Ledger:
    """Return everything that the database has of a room that no session writes to."""
    (room,) = connection.execute("SELECT * FROM chat_room WHERE id = %s", [room_id])
    members = connection.execute(
        "SELECT user_id, joined_version FROM chat_member WHERE room_id = %s", [room_id]
    )
    return Ledger(
        room=room,
        members={row["user_id"]: row["joined_version"] for row in members},
        messages=list(
            connection.execute(
                "SELECT * FROM chat_message WHERE room_id = %s ORDER BY seq", [room_id]
            )
        ),
        log=read_log(connection, room_id),
        queued=read_outbox(connection, room_id=room_id),
    )


def read_exact_ledger(connection: Connection, room_id: int) -> Ledger:
    """Return everything that the database has of a room, after checking every rule."""
    ledger = read_ledger(connection, room_id)
    _check_messages(ledger)
    _check_log(ledger)
    _check_outbox(ledger)
    return ledger


def _check_messages(ledger: Ledger) -> None:
    """Seqs are 1, 2, 3… to the room's last; ids are in the same order; keys are used once."""
    assert ledger.seqs == list(range(1, ledger.room["last_seq"] + 1))
    ids = [message["id"] for message in ledger.messages]
    assert ids == sorted(set(ids))
    keys = Counter((message["user_id"], message["client_id"]) for message in ledger.messages)
    assert not [key for key, count in keys.items() if count > 1]


def _check_log(ledger: Ledger) -> None:
    """Versions are 1, 2, 3… to the room's; each message has its event, in the order of seqs."""
    versions = [event["body"]["room"]["version"] for event in ledger.log]
    assert versions == list(range(1, ledger.room["version"] + 1))
    told = [event["body"] for event in ledger.log if event["type"] == "message_added"]
    assert [(body["id"], body["seq"], body["user"], body["content"]) for body in told] == [
        (message["id"], message["seq"], message["user_id"], message["content"])
        for message in ledger.messages
    ]


def _check_outbox(ledger: Ledger) -> None:
    """Each event is queued once, as in the log, in order, for the members at its version.

    Of a call that adds too many only the last one is queued, and it names the first.
    """
    members: dict[str, int] = {}
    expected: list[tuple[int, list[str]]] = []
    for change in _changes(ledger.log):
        audience = _follow(change, members)
        is_removal = len(change) > 1 and change[0]["type"] == "user_left"
        check = _check_bulk_removal if is_removal else _check_change
        expected += check(change, audience, len(members))
    assert ledger.members == members
    assert ledger.room["member_count"] == len(members)

    later = _changed_since(ledger.log)
    queued: dict[int, list[str]] = {}
    for row in ledger.queued:
        assert _without(row.event, later) == _without(ledger.log[row.version - 1], later)
        chunk = len(queued.get(row.version, [])) // _CHUNK
        assert row.key.split(":")[1:] == [str(ledger.room["id"]), str(row.version), str(chunk)]
        assert len(row.channels) <= _CHUNK
        queued.setdefault(row.version, []).extend(row.channels)
    versions = [row.version for row in ledger.queued]
    assert versions == sorted(versions), "ids of outbox rows are not in the order of versions"
    assert [(version, sorted(channels)) for version, channels in queued.items()] == expected


def _follow(change: list[Event], members: dict[str, int]) -> list[str]:
    """Bring the members to what they are after a change; return whom all of its events concern."""
    kind, first = change[0]["type"], change[0]["body"]["room"]["version"]
    users = [event["body"].get("user") for event in change]
    audience = list(members)
    if kind == "user_joined":
        assert not members.keys() & set(users), "someone joined who was in"
        members |= dict.fromkeys(users, first)
        audience = list(members)
    elif kind in {"user_left", "message_added"}:
        assert members.keys() >= set(users), f"{kind} of someone who was not in"
    if kind == "user_left":
        for user in users:
            del members[user]
    return audience


def _check_change(
    change: list[Event], audience: list[str], member_count: int
) -> list[tuple[int, list[str]]]:
    """Check the events of a change; return for whom each has to be queued."""
    first = change[0]["body"]["room"]["version"]
    is_bulk = len(change) * member_count > BULK_LIMIT
    expected = []
    for n, event in enumerate(change, start=1):
        assert event["body"]["room"]["member_count"] == member_count
        stands_for_all = is_bulk and n == len(change) > 1
        assert event["body"].get("first_version") == (first if stands_for_all else None)
        if audience and (n == len(change) or not is_bulk):
            expected.append((first + n - 1, sorted(map(personal_channel, audience))))
    return expected


def _check_bulk_removal(
    change: list[Event], audience: list[str], member_count: int
) -> list[tuple[int, list[str]]]:
    """Check the events of many who left at once; return for whom each has to be queued.

    Each is for the user who left, and the last one for those who stay too.
    """
    first = change[0]["body"]["room"]["version"]
    gone = [event["body"]["user"] for event in change]
    assert len(change) * len(audience) > BULK_LIMIT
    expected = []
    for n, event in enumerate(change):
        assert event["body"]["room"]["member_count"] == member_count
        assert event["body"]["first_version"] == first
        sent_to = {gone[n]} if n < len(change) - 1 else {*audience} - {*gone[:-1]}
        expected.append((first + n, sorted(map(personal_channel, sent_to))))
    return expected


def _changed_since(log: list[Event]) -> set[object]:
    """Return the ids of deleted messages, and None if the room was renamed.

    The log is composed when it is read, so it has no text that was deleted and no former name.
    """
    return {
        event["body"].get("id")
        for event in log
        if event["type"] in {"message_deleted", "room_updated"}
    }


def _without(event: Event, changed: set[object]) -> Event:
    """Return an event without what changed after it was published."""
    body = dict(event["body"])
    if None in changed:
        body["room"] = {name: value for name, value in body["room"].items() if name != "name"}
    if body.get("id") in changed:
        body.pop("content", None)
        body.pop("deleted_at", None)
    return {"type": event["type"], "body": body}


# What the events of one change have in common, by their type.
_COMMON = {"user_joined": "joined_at", "user_left": "first_version"}


def _changes(log: list[Event]) -> Iterator[list[Event]]:
    """Split a log into changes: the users that one call added have one `joined_at`.

    Many who left at once have one `first_version`.
    """
    change: list[Event] = []
    for event in log:
        is_same = (
            change
            and change[0]["type"] == event["type"]
            and (name := _COMMON.get(event["type"])) is not None
            and change[0]["body"].get(name) == event["body"].get(name, event)
        )
        if change and not is_same:
            yield change
            change = []
        change.append(event)
    if change:
        yield change
