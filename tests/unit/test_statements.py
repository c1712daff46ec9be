"""The named statements: each is called from one place and fits the schema.

`chat/sql/statements` and the code that builds calls can only drift apart where this fails.
"""

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chat.actions import bans as ban_actions
from chat.actions import blocks as block_actions
from chat.actions import desired_state as state_actions
from chat.actions import direct_rooms as direct_actions
from chat.actions import events as event_actions
from chat.actions import installation, room_changes, room_deletions
from chat.actions import invites as invite_actions
from chat.actions import joins as join_actions
from chat.actions import limits as limit_actions
from chat.actions import listeners as listener_actions
from chat.actions import members as member_actions
from chat.actions import messages as message_actions
from chat.actions import reports as report_actions
from chat.actions import revocations as revocation_actions
from chat.actions import rooms as room_actions
from chat.actions import words as word_actions
from chat.actions.bans import NewBan
from chat.actions.caller import SERVICE, Caller
from chat.actions.members import MemberChange
from chat.queries import (
    audit,
    bans,
    blocks,
    events,
    external_rooms,
    invites,
    members,
    messages,
    readiness,
    reports,
    revocations,
    rooms,
    search,
    words,
)
from chat.queries import room_deletions as deletions
from chat.queries.audit import AuditFilter
from chat.queries.keyset import Slice
from chat.queries.members import Reader
from chat.queries.messages import Window
from chat.queries.rooms import RoomPosition
from chat.queries.sent import find_sent
from chat.sql import FOLDER, Call, load_statements

POSITION = RoomPosition(datetime.fromisoformat("2026-01-02T03:04:05.678901Z"), 500, 500)
MEMBER = "user-5"
STAFF = Caller("staff", "anna")
WANTED = state_actions.WantedRoom("renamed", members={"user-9": "moderator", "zoe": None})
READER = Reader("user-9")
HOST = Caller("service", "host")
INVITED_AT = datetime.fromisoformat("2026-01-02T03:04:05.678901Z")
# One call of each statement, as the code builds it; room 1 and its members are made below.
CALLS: list[Call[Any]] = [
    event_actions.prune_events(days=90),
    installation.start_over(),
    installation.accept_identity(),
    limit_actions.prune_counts("user-5"),
    listener_actions.keep_listeners(["user-9"], 3600),
    listener_actions.list_running_writes(),
    listener_actions.settle_listeners([]),
    listener_actions.prune_listeners(),
    member_actions.add_members(1, ["zoe"], SERVICE),
    member_actions.remove_member(1, "user-9", SERVICE),
    member_actions.update_member(1, "user-9", MemberChange("moderator"), SERVICE),
    invite_actions.create_invite(2, HOST, seconds=3600, max_uses=None),
    invite_actions.revoke_invite(2, 7, HOST),
    invite_actions.accept_invite(500, INVITED_AT, "zoe", join_actions.EntryLimits("30/60", 3, 100)),
    join_actions.join_room(1, "zoe", join_actions.EntryLimits("30/60", 3, 100)),
    join_actions.leave_room(2, Caller("user", "user-20")),
    message_actions.send_messages([message_actions.NewMessage(1, "user-9", "key", "text")]),
    message_actions.delete_message(500),
    ban_actions.ban_from_room(1, NewBan("user-9"), SERVICE),
    ban_actions.ban_from_all_rooms(NewBan("user-9"), SERVICE),
    ban_actions.list_rooms_to_leave("user-9"),
    ban_actions.remove_banned_member(2, "user-9", SERVICE),
    ban_actions.delete_recent_messages("user-9", 3),
    ban_actions.lift_ban(None, "user-9", SERVICE),
    block_actions.block_user("user-9", "user-8"),
    block_actions.unblock_user("user-9", "user-8"),
    report_actions.report_message(1, 1, "user-9", "rude", limit="20/86400"),
    report_actions.report_user("zoe", 1, "user-9", "rude", limit="20/86400"),
    report_actions.decide_report(STAFF, 500, report_actions.NewDecision("delete")),
    revocation_actions.revoke_tokens("zoe"),
    revocation_actions.prune_revocations(seconds=3600),
    room_changes.change_room(HOST, 1, {"name": "changed", "data": {"a": 1}}),
    room_deletions.delete_room(HOST, 1),
    room_deletions.continue_room_deletion(),
    deletions.get_room_deletion(900),
    deletions.is_room_deletion_open(),
    room_actions.create_room("general", ["user-9"], by=Caller("user", "user-8"), client_id="key"),
    direct_actions.open_direct_room(["user-9"], by=Caller("user", "user-8")),
    room_actions.rename_room(1, "renamed"),
    bans.find_ban("user-9"),
    bans.list_bans(1, READER, [], Slice(50, MEMBER)),
    bans.list_bans(1, READER, [], Slice(50, MEMBER, is_backwards=True)),
    blocks.list_blocks("user-9", Slice(50, MEMBER)),
    blocks.list_blocks("user-9", Slice(50, MEMBER, is_backwards=True)),
    word_actions.put_word(STAFF, "darn", "darn", "mask"),
    word_actions.delete_word(STAFF, "word5"),
    word_actions.report_words(1, ["darn"]),
    words.list_words(),
    audit.list_audit(AuditFilter(room=1), Slice(50, 900)),
    audit.list_audit(AuditFilter(user="user-9"), Slice(50, 100, is_backwards=True)),
    words.get_word("word5"),
    find_sent(1, "user-9", "key-5"),
    events.list_events(1, "user-9", after=900, limit=51),
    members.list_members(1, READER, Slice(50, MEMBER)),
    members.list_members(1, READER, Slice(50, MEMBER, is_backwards=True)),
    members.list_members(1, READER, Slice(50, MEMBER), "owner"),
    members.list_members(1, READER, Slice(50, MEMBER, is_backwards=True), "owner"),
    members.find_member(1, READER, MEMBER),
    invites.find_invite(500, INVITED_AT),
    invites.list_invites(2, "user-20", Slice(50, 900), allowed=["public:member"]),
    invites.list_invites(2, "user-20", Slice(50, 1, is_backwards=True), allowed=["public:member"]),
    messages.list_messages(1, "user-9", Window(25, 25, anchor=500, with_anchor=True)),
    readiness.read_readiness(),
    readiness.is_copy(),
    reports.list_open_reports(Slice(50, 100)),
    reports.list_open_reports(Slice(50, 900, is_backwards=True)),
    reports.list_decided_reports(Slice(50, 900)),
    reports.list_decided_reports(Slice(50, 100, is_backwards=True)),
    reports.get_report(500),
    revocations.list_revocations(seen="500:500:"),
    rooms.list_rooms("user-9", Slice(50, POSITION)),
    rooms.list_rooms("user-9", Slice(50, POSITION, is_backwards=True)),
    rooms.get_room("user-9", 1),
    external_rooms.get_room_by_external_id("user-9", "team-1"),
    state_actions.approach_room(SERVICE, "team-1", WANTED),
    state_actions.preview_room("team-1", WANTED),
    search.search_rooms("room 9", "user-9", Slice(50, 900)),
    search.search_rooms("room 9", "user-9", Slice(50, 100, is_backwards=True)),
]
PLACEHOLDER = re.compile(r"%\((\w+)\)s")
FUNCTION = re.compile(
    r"^CREATE OR REPLACE FUNCTION chat\.(\w+)(.*?)^(?:END )?\$\$;", re.MULTILINE | re.DOTALL
)
USED = re.compile(r"chat\.(\w+)\(")


def name_of(call: Call[Any]) -> str:
    """Return the name a test of this call is listed under."""
    return call.name


@pytest.fixture(scope="module")
def session(clone_database: Callable[[], str]) -> Iterator[psycopg.Connection]:
    """Open a database with 1,000 rooms of 20 members each, 20,000 messages and 20,000 events."""
    with psycopg.connect(clone_database()) as connection:
        connection.execute("""
            INSERT INTO chat_room (
                id, name, version, last_seq, member_count, bumped_at, bump_id, created_at)
            SELECT n, 'room ' || n, 1000, 1000, 20, now() - n * interval '1 minute', n, now()
            FROM generate_series(1, 1000) n;
            SELECT setval(pg_get_serial_sequence('chat_room', 'id'), 1000);
            INSERT INTO chat_member (room_id, user_id, channel, joined_version, joined_at)
            SELECT r, 'user-' || (7 * r + u) % 1000, 'personal:user', 1, now()
            FROM generate_series(1, 1000) r, generate_series(0, 19) u;
            INSERT INTO chat_message (room_id, seq, user_id, client_id, content, created_at)
            SELECT 1 + n % 20, 1 + n / 20, 'user-9', 'key-' || n, 'text', now()
            FROM generate_series(0, 19999) n;
            INSERT INTO chat_event (
                room_id, version, type, user_id, member_count, bumped_at, created_at)
            SELECT 1 + n % 20, 1 + n / 20, 'user_left', 'user-9', 20, now(), now()
            FROM generate_series(0, 19999) n;
            INSERT INTO chat_report (
                id, room_id, message_id, user_id, reported_by, reason, created_at, decision)
            SELECT n, 1 + n % 20, (SELECT min(id) FROM chat_message) + n, 'user-9',
                   'user-' || n, 'rude', now(), CASE WHEN n % 2 = 1 THEN 'keep' END
            FROM generate_series(1, 1000) n;
            SELECT setval(pg_get_serial_sequence('chat_report', 'id'), 1000);
            INSERT INTO chat_decision (report_id, decision, note, decided_by, decided_at)
            SELECT n, 'keep', '', 'anna', now() FROM generate_series(1, 999, 2) n;
            ANALYZE""")
        yield connection
        connection.rollback()


def find_call_sites() -> Iterator[str]:
    """Give the name in every `Call("name", …)` of the code, both of `part.choose("name")`."""
    for path in (FOLDER.parent).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="Call"), args=[ast.Constant(value=str(name)), *_]):
                    yield name
                case ast.Call(
                    func=ast.Name(id="Call"),
                    args=[ast.Call(args=[ast.Constant(value=str(name))]), *_],
                ):
                    yield from (name, f"{name}_backwards")


def test_every_statement_is_called_from_one_place() -> None:
    """No statement is unused, none is unknown, and none is called from two places."""
    assert Counter(find_call_sites()) == Counter(load_statements().keys())


def test_every_statement_is_tried_here() -> None:
    """A new statement gets a call in this file."""
    assert sorted(call.name for call in CALLS) == sorted(load_statements())


@pytest.mark.parametrize(
    "path", sorted((FOLDER / "statements").glob("*.sql")), ids=lambda p: p.stem
)
def test_every_statement_is_found(path: Path) -> None:
    """Each `-- name:` line of a file opens one statement: none is swallowed by its neighbour."""
    names = re.findall(r"^-- name: (\w+)$", path.read_text(encoding="utf-8"), re.MULTILINE)

    assert names
    assert set(names) <= load_statements().keys()
    assert not any("-- name:" in load_statements()[name] for name in names)


@pytest.mark.parametrize("call", CALLS, ids=name_of)
def test_a_call_gives_every_parameter_and_no_other(call: Call[Any]) -> None:
    """The placeholders of a statement are exactly the parameters of its call."""
    assert set(PLACEHOLDER.findall(call.statement)) == set(call.parameters)


def find_publishing_functions() -> set[str]:
    """Return the names of the functions that write to the outbox, also through others."""
    texts = [path.read_text(encoding="utf-8") for path in (FOLDER / "functions").glob("*.sql")]
    bodies = {name: body for text in texts for name, body in FUNCTION.findall(text)}
    found = {name for name, body in bodies.items() if "INSERT INTO chat_outbox" in body}
    while more := {
        name
        for name, body in bodies.items()
        if found & set(USED.findall(body)) and name not in found
    }:
        found |= more
    return found


@pytest.mark.parametrize("call", CALLS, ids=name_of)
def test_a_call_that_can_queue_events_says_so(call: Call[Any]) -> None:
    """After each call that writes to the outbox realtime is notified, and after no other."""
    used = set(USED.findall(call.statement))

    assert call.publishes == bool(used & find_publishing_functions())


@pytest.mark.parametrize("call", CALLS, ids=name_of)
def test_a_statement_prepares(session: psycopg.Connection, call: Call[Any]) -> None:
    """PostgreSQL knows every table, column, function and type a statement names."""
    names = list(call.parameters)
    numbered = PLACEHOLDER.sub(lambda found: f"${names.index(found[1]) + 1}", call.statement)

    session.execute(f"PREPARE {call.name} AS {numbered}".encode())

    session.execute(f"DEALLOCATE {call.name}".encode())


@pytest.mark.parametrize("call", CALLS, ids=name_of)
def test_the_columns_are_the_fields_of_the_row(
    session: psycopg.Connection, call: Call[Any]
) -> None:
    """A statement returns what its row class takes, under the same names and in that order."""
    with session.transaction(force_rollback=True), session.cursor() as cursor:
        cursor.execute(call.statement.encode(), call.parameters)

        assert cursor.description is not None
        columns = [column.name for column in cursor.description]

    assert columns == list(call.row.__struct_fields__)
