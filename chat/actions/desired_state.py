"""Bringing a room to the state that the host wants, in chunks."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from chat.actions.caller import Caller
from chat.errors import (
    ChatError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    RoomArchivedError,
    RoomBusyError,
)
from chat.queries.rooms import Room, decode_room
from chat.sql import Call, read_single_row
from chat.sql.database import Database

# Members that one transaction changes. With 500 it holds the lock of a room of 10,000 for less than
# 200 ms, of which it takes a part to see what differs, so smaller chunks take longer in all.
CHUNK = 500
# How long a call goes on: nginx waits for an answer for 15 s.
SECONDS = 10.0
# How many users each list of an answer names at most.
NAMED_MOST = 10_000
_AGAIN = (
    "Not everything could be changed in time. Repeat the call: it goes on where this one stopped."
)


class WantedRoom(msgspec.Struct, frozen=True):
    """What the host wants of a room; what is None stays as it is."""

    name: str
    kind: str | None = None
    data: Mapping[str, Any] | None = None
    history: str | None = None
    members: Mapping[str, str | None] | None = None
    """Every member with the role; None keeps the role of a member, and makes a new one `member`."""
    default_kind: str = "public"
    """Of a room that is created, where `kind` is None."""

    def describe(self) -> dict[str, object]:
        """Return the parameters by which the functions know it."""
        fields = {
            name: getattr(self, name)
            for name in ("name", "kind", "data", "history", "default_kind")
        }
        members = self.members
        return {
            "wanted": msgspec.json.encode(fields).decode(),
            "user_ids": None if members is None else list(members),
            "roles": None if members is None else list(members.values()),
        }


class Change(msgspec.Struct, frozen=True):
    """What a value was, and what it is now."""

    before: msgspec.Raw = msgspec.field(name="from")
    after: msgspec.Raw = msgspec.field(name="to")


class RoleChange(msgspec.Struct, frozen=True):
    """A member who has another role."""

    user: str
    before: str = msgspec.field(name="from")
    after: str = msgspec.field(name="to")


class Counts(msgspec.Struct, frozen=True):
    """How many members were added, were removed, and have another role."""

    added: int
    removed: int
    role_changes: int


class StateChange(msgspec.Struct, frozen=True):
    """What a call changed of a room, or would change."""

    room: Room | None
    """As it is now; null for a room that would be created."""
    created: bool
    changed: dict[str, Change]
    """By the names of `name`, `kind`, `data` and `history`; empty for a room that is created."""
    counts: Counts
    added: list[str]
    """In the order of user ids, as the others; of each list only the first 10,000 users."""
    removed: list[str]
    role_changes: list[RoleChange]


class Step(msgspec.Struct, frozen=True):
    """What one chunk changed; see chat/sql/functions/desired_state.sql."""

    outcome: str
    generation: int | None
    room: str | None
    changed: str | None
    user_ids: list[str] | None
    before: list[str | None] | None
    after: list[str | None] | None
    remaining: int | None


class _PreviewRow(msgspec.Struct, frozen=True):
    """What would be changed; see chat/sql/functions/desired_state.sql."""

    outcome: str
    room: str | None
    changed: str | None
    user_ids: list[str] | None
    before: list[str | None] | None
    after: list[str | None] | None


_decode_changed = msgspec.json.Decoder(dict[str, Change]).decode


def approach_room(
    by: Caller,
    external_id: str,
    wanted: WantedRoom,
    *,
    generation: int | None = None,
    chunk: int = CHUNK,
) -> Call[Step]:
    """Bring the room closer to what is wanted by at most `chunk` members, in one transaction.

    `generation`: what the call before returned; None begins, and supersedes every other caller.

    Errors: `NotFoundError`, `ConflictError`, `RoomArchivedError`, `InvalidInputError`.
    """
    return Call(
        "approach_room",
        Step,
        {
            "by": by.to_json(),
            "external_id": external_id,
            "generation": generation,
            "limit": chunk,
            **wanted.describe(),
        },
        _read_step,
        publishes=True,
        lock=("external_id", external_id),
    )


def preview_room(external_id: str, wanted: WantedRoom) -> Call[StateChange]:
    """Return what `put_room` would change now, and change nothing. Errors: as for it."""
    return Call(
        "preview_wanted_room",
        _PreviewRow,
        {"external_id": external_id, **wanted.describe()},
        _read_preview,
    )


async def put_room(
    database: Database, by: Caller, external_id: str, wanted: WantedRoom, *, chunk: int = CHUNK
) -> StateChange:
    """Create the room of the host's key, or change what differs, and return what was changed.

    The room is as wanted when the last chunk is committed, whatever others changed meanwhile.
    Repeating the call changes nothing; after one that was broken off it does the rest. Of two at
    once for one room the later one has its state, and the other one stops.

    Errors: `ConflictError` for a call that was superseded, for a direct room, for a room that would
    lose its owner and for users who are banned; `RoomArchivedError`; `RoomBusyError`, after which a
    part may be done; `NotFoundError` where the room was deleted meanwhile; `InvalidInputError`.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + SECONDS
    step = await database.run(approach_room(by, external_id, wanted, chunk=chunk))
    steps = [step]
    while steps[-1].remaining:
        if clock() > deadline:
            raise RoomBusyError(_AGAIN)
        call = approach_room(by, external_id, wanted, generation=step.generation, chunk=chunk)
        try:
            steps.append(await database.run(call))
        except RoomBusyError:
            if clock() > deadline:
                raise RoomBusyError(_AGAIN) from None
    return _sum_up(steps)


def _sum_up(steps: Sequence[Step]) -> StateChange:
    """Return what several chunks changed in all."""
    changed: dict[str, Change] = {}
    members: dict[str, tuple[str | None, str | None]] = {}
    for step in steps:
        for name, change in _decode_changed(step.changed or "{}").items():
            before = changed[name].before if name in changed else change.before
            changed[name] = Change(before, change.after)
        for user, was, is_now in _list_members(step):
            first = members[user][0] if user in members else was
            members[user] = (first, is_now)
    return _make_change(steps[-1].room, steps[0].outcome, changed, members)


def _list_members(row: Step | _PreviewRow) -> Iterable[tuple[str, str | None, str | None]]:
    return zip(row.user_ids or (), row.before or (), row.after or (), strict=True)


def _make_change(
    room: str | None,
    outcome: str,
    changed: dict[str, Change],
    members: Mapping[str, tuple[str | None, str | None]],
) -> StateChange:
    users = sorted(members, key=str.encode)
    added = [user for user in users if members[user][0] is None]
    removed = [user for user in users if members[user][1] is None]
    roles = [
        RoleChange(user, before, after)
        for user in users
        for before, after in [members[user]]
        if before is not None and after is not None
    ]
    return StateChange(
        room=None if room is None else decode_room(room),
        created=outcome == "created",
        changed=changed,
        counts=Counts(len(added), len(removed), len(roles)),
        added=added[:NAMED_MOST],
        removed=removed[:NAMED_MOST],
        role_changes=roles[:NAMED_MOST],
    )


def _read_step(rows: list[Step]) -> Step:
    step = read_single_row(rows)
    _require_possible(step)
    return step


def _read_preview(rows: list[_PreviewRow]) -> StateChange:
    row = read_single_row(rows)
    _require_possible(row)
    members = {user: (was, is_now) for user, was, is_now in _list_members(row)}
    return _make_change(row.room, row.outcome, _decode_changed(row.changed or "{}"), members)


def _require_possible(row: Step | _PreviewRow) -> None:
    if row.outcome not in {"created", "approached"}:
        raise _find_refusal(row)


def _find_refusal(row: Step | _PreviewRow) -> ChatError:
    if row.outcome == "room_not_found":
        return NotFoundError("The room was deleted meanwhile.")
    if row.outcome == "archived":
        return RoomArchivedError("The room is archived: restore it before you change it.")
    if row.outcome == "banned":
        names = ", ".join(map(repr, row.user_ids or ()))
        return ConflictError(
            f"Banned from this room or from all rooms: {names}. Lift the ban first, or leave them "
            "out."
        )
    if row.outcome in _CONFLICTS:
        return ConflictError(_CONFLICTS[row.outcome])
    field = row.outcome.removeprefix("invalid_")
    name = "members" if field == "user" else field
    return InvalidInputError(f"The {name} cannot be this.", pointer=f"/{name}")


_CONFLICTS: Mapping[str, str] = {
    "superseded": "A later call wants another state of this room: this one was superseded, and has "
    "stopped.",
    "direct": "The room is a direct room: its members never change.",
    "no_owner": "The room has an owner and would have none: give one of the members the role "
    "owner, or leave out the role of one.",
}
