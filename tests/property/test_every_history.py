"""Any sequence of writes does what a plain model does, and its events rebuild what is fetched."""

import secrets
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from chat.actions.messages import NewMessage
from chat.realtime.channels import personal_channel
from tests.conftest import Connection
from tests.property.client import Client
from tests.property.drivers import Driver, HttpDriver, SqlDriver
from tests.property.model import Answer, Model, ModelEvent
from tests.support.actors import Cast
from tests.support.ledger import Event, Queued, read_exact_ledger, read_outbox

UNKNOWN_ROOM = UNKNOWN_MESSAGE = 10**15
NAMES = ["ann", "bob", "Ёж", "a/b c", "~x%2F", "auth0|7", "crowd0"]
INVALID_NAMES = ["", "\x1f", "x" * 129, "я" * 100]

# The same examples each time, so that a failure in CI can be repeated; no time limit, because the
# machine may be busy.
REPRODUCIBLE = settings(
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=False,
    suppress_health_check=[
        HealthCheck.too_slow,  # each step is a round trip to a database
        HealthCheck.data_too_large,  # long histories are the point
        HealthCheck.filter_too_much,  # a rule that meets its limit is skipped
    ],
)

rooms = Bundle("rooms")
names = st.sampled_from(NAMES)
name_lists = st.lists(names, max_size=5)
# Mostly rooms that exist.
any_room = st.one_of(rooms, rooms, rooms, st.just(UNKNOWN_ROOM))
messages = st.builds(
    NewMessage,
    room_id=any_room,
    user_id=names,
    client_id=st.integers(0, 40).map("key{}".format),
    content=st.sampled_from(["this", "that"]),
)


class WriteHistory(RuleBasedStateMachine):
    """Compares every write with the model, and clients that only apply events with both."""

    def __init__(self, driver: Driver, connection: Connection) -> None:
        super().__init__()
        self.driver = driver
        self.connection = connection
        self.model = Model()
        self.suffix = f"-{secrets.token_hex(4)}"
        self.ids: dict[tuple[int, int], int] = {}
        self.clients: list[Client] = []
        self.snapshots: list[Client] = []
        self.last_call: tuple[str, tuple[Any, ...]] | None = None
        self.has_crowd = False
        (row,) = connection.execute("SELECT coalesce(max(id), 0) AS id FROM chat_outbox")
        self.outbox_start = self.outbox_head = row["id"]

    # Writes.

    @initialize(target=rooms, members=name_lists)
    def begin_with_a_room(self, members: list[str]) -> int:
        """Create a first room, which the other rules need."""
        return self._create_room(self._users(members))

    @precondition(lambda self: len(self.model.rooms) < 4)
    @rule(target=rooms, members=name_lists)
    def create_room(self, members: list[str]) -> int:
        """Create a room, with any members."""
        return self._create_room(self._users(members))

    @rule(members=name_lists, invalid=st.sampled_from(INVALID_NAMES), room=rooms)
    def try_an_invalid_user(self, members: list[str], invalid: str, room: int) -> None:
        """With one invalid user id no room is created and no user added."""
        users = [*self._users(members), invalid]
        assert self.driver.create_room("refused", users) is None
        answer = self.driver.add_members(room, users)
        assert answer.words == self.driver.say("add_members", ["invalid_user"])

    @rule(room=any_room, members=name_lists)
    def add_members(self, room: int, members: list[str]) -> None:
        """Add users: new ones, members, some of them twice."""
        self._compare("add_members", room, self._users(members))

    @precondition(lambda self: not self.has_crowd)
    @rule(room=rooms)
    def add_a_crowd(self, room: int) -> None:
        """Add so many that only the last of their events is queued."""
        self.has_crowd = True
        self._compare("add_members", room, self._users([f"crowd{n}" for n in range(145)]))

    @rule(room=any_room, member=names)
    def remove_member(self, room: int, member: str) -> None:
        """Remove a user, a member or not."""
        self._compare("remove_member", room, member + self.suffix)

    @rule(room=any_room, member=names)
    def join(self, room: int, member: str) -> None:
        """Join."""
        self._compare("join", room, member + self.suffix)

    @rule(room=any_room, member=names)
    def leave(self, room: int, member: str) -> None:
        """Leave."""
        self._compare("leave", room, member + self.suffix)

    @rule(batch=st.lists(messages, min_size=1, max_size=6))
    def send(self, batch: list[NewMessage]) -> None:
        """Send messages of any users to any rooms, with keys that are often used again."""
        self._send([replace(item, user_id=item.user_id + self.suffix) for item in batch])

    @rule(room=rooms, contents=st.lists(st.sampled_from(["this", "that"]), min_size=1, max_size=4))
    def send_by_members(self, room: int, contents: list[str]) -> None:
        """Send messages that are accepted, so that the rooms grow."""
        members = sorted(self.model.rooms[room].members)
        count = len(self.model.rooms[room].messages)
        self._send(
            [
                NewMessage(room, members[(count + n) % len(members)], f"new{count + n}", content)
                for n, content in enumerate(contents)
                if members
            ]
        )

    @rule(room=rooms, place=st.integers(0, 99), is_same=st.booleans())
    def retry(self, room: int, place: int, is_same: bool) -> None:  # noqa: FBT001 - it is drawn
        """Send an old message again, unchanged or changed, even if its sender has left."""
        known = self.model.rooms[room].messages
        if known:
            old = known[place % len(known)]
            content = (old.sent_content or old.content) if is_same else "changed"
            self._send([NewMessage(room, old.user, old.client_id, content)])

    @rule(room=any_room, name=st.sampled_from(["room", "salon", "зал"]))
    def rename(self, room: int, name: str) -> None:
        """Rename a room, as the admin does; its present name changes nothing."""
        (row,) = self.connection.execute(
            "SELECT outcome FROM chat.rename_room(%s, %s)", [room, name]
        )
        known = self.model.rooms.get(room)
        assert row["outcome"] == (known.rename(name) if known else "room_not_found")

    @rule(room=rooms, seq=st.integers(1, 20))
    def delete(self, room: int, seq: int) -> None:
        """Delete a message, as the admin does: also a second time, or one that does not exist."""
        message_id = self.ids.get((room, seq))
        (row,) = self.connection.execute(
            "SELECT outcome FROM chat.delete_message(%s)", [message_id or UNKNOWN_MESSAGE]
        )
        assert row["outcome"] == (self.model.rooms[room].delete(seq) if message_id else "not_found")

    @precondition(lambda self: self.last_call is not None)
    @rule()
    def repeat(self) -> None:
        """Make the last call again: it changes nothing."""
        assert self.last_call is not None
        before = [(room.version, len(room.queued)) for room in self.model.rooms.values()]
        name, arguments = self.last_call
        if name == "send":
            self._send(*arguments)
        else:
            self._compare(name, *arguments)
        assert before == [(room.version, len(room.queued)) for room in self.model.rooms.values()]

    @precondition(lambda self: len(self.clients) < 6)
    @rule(name=names)
    def start_a_client(self, name: str) -> None:
        """Let a user fetch everything; from now on it receives events."""
        client = Client.fetch(name + self.suffix, self.driver)
        self.clients.append(client)
        self.snapshots.append(client.copy())

    # What must hold after each step.

    @invariant()
    def the_tables_are_the_models(self) -> None:
        """Counters and members of each room are the model's."""
        for room_id, room in self.model.rooms.items():
            (row,) = self.connection.execute(
                "SELECT r.name, r.version, r.last_seq, r.member_count,"
                " (SELECT coalesce(json_object_agg(m.user_id, m.joined_version), '{}')"
                "  FROM chat_member m WHERE m.room_id = r.id) AS members"
                " FROM chat_room r WHERE r.id = %s",
                [room_id],
            )
            assert row == {
                "name": room.name,
                "version": room.version,
                "last_seq": len(room.messages),
                "member_count": len(room.members),
                "members": room.members,
            }

    @invariant()
    def clients_follow_by_what_was_queued(self) -> None:
        """Each step queues the events of the model, for the users of the model."""
        news = read_outbox(self.connection, after=self.outbox_head)
        for queued in news:
            self.outbox_head = queued.id
            for client in self.clients:
                if personal_channel(client.user) in queued.channels:
                    client.receive(queued.event)
        for client in self.clients:
            assert client.reducer.versions() == {
                room_id: room.version
                for room_id, room in self.model.rooms.items()
                if client.user in room.members
            }

    # What must hold at the end.

    def teardown(self) -> None:
        """Compare logs, streams and clients with the model, and with what is fetched now."""
        outbox = read_outbox(self.connection, after=self.outbox_start)
        for room_id in self.model.rooms:
            self._check_room(
                room_id, [row for row in outbox if row.event["body"]["room"]["id"] == room_id]
            )
        for client, snapshot in zip(self.clients, self.snapshots, strict=True):
            fresh = Client.fetch(client.user, self.driver)
            assert client.state == fresh.state
            self._check_late_delivery(snapshot.copy(), outbox, fresh)
            self._check_late_delivery(client, outbox, fresh)
            self._check_catching_up(snapshot, fresh)

    def _check_room(self, room_id: int, queued: list[Queued]) -> None:
        room = self.model.rooms[room_id]
        ledger = read_exact_ledger(self.connection, room_id)
        assert [_simplify(event) for event in ledger.log] == room.log
        assert [
            (message["user_id"], message["client_id"], message["content"])
            for message in ledger.messages
        ] == [(message.user, message.client_id, message.content) for message in room.messages]
        assert [(row.version, set(row.channels)) for row in queued] == [
            (version, {personal_channel(user) for user in users}) for version, users in room.queued
        ]
        for user in list(room.members)[:3]:
            half = room.version // 2
            assert self.driver.list_events(user, room_id, half) == ledger.log[half:]

    def _check_late_delivery(self, client: Client, outbox: list[Queued], fresh: Client) -> None:
        """Deliver everything that was queued for a client, each event twice."""
        for queued in outbox:
            if personal_channel(client.user) in queued.channels:
                client.receive(queued.event)
                client.receive(queued.event)
        assert client.state == fresh.state

    def _check_catching_up(self, client: Client, fresh: Client) -> None:
        """Let a client that received nothing fetch what it missed, room by room."""
        for room_id in client.reducer.versions():
            client.catch_up(room_id)
        for room_id in client.reducer.versions():
            assert client.view(room_id) == fresh.view(room_id)

    # How calls are made and compared.

    def _users(self, members: list[str]) -> list[str]:
        return [name + self.suffix for name in members]

    def _create_room(self, users: list[str]) -> int:
        room_id = self.driver.create_room("room", users)
        assert room_id is not None
        self.model.create_room(room_id, "room", users)
        return room_id

    def _compare(self, call: str, room_id: int, users: Any) -> None:
        """Make a call about members and compare its answer with the model's."""
        self.last_call = (call, (room_id, users))
        if call == "add_members":
            expected = self.model.add_members(room_id, users)
        elif call == "join":
            expected = self.model.add_members(room_id, [users])
        else:
            expected = self.model.remove_member(room_id, users)
        answer: Answer = getattr(self.driver, call)(room_id, users)
        assert answer.words == self.driver.say(call, expected.words)
        assert answer.version in {None, expected.version}

    def _send(self, batch: list[NewMessage]) -> None:
        """Send a batch and compare its answer with the model's, and ids with earlier answers."""
        self.last_call = ("send", (batch,))
        expected = self.model.send(batch)
        answer = self.driver.send(batch)
        assert answer.words == self.driver.say("send", expected.words)
        assert answer.seqs == expected.seqs
        for message, seq, id_ in zip(batch, answer.seqs, answer.ids, strict=True):
            assert (seq is None) == (id_ is None)
            if seq is not None and id_ is not None:
                assert self.ids.setdefault((message.room_id, seq), id_) == id_


def _simplify(event: Event) -> ModelEvent:
    body = event["body"]
    return ModelEvent(
        version=body["room"]["version"],
        type=event["type"],
        user=body.get("user"),
        seq=body.get("seq"),
        member_count=body["room"]["member_count"],
    )


# Time to shrink a failing example to the shortest history that fails.
@pytest.mark.timeout(400)
@pytest.mark.slow
def test_every_history_through_the_functions(connection: Connection) -> None:
    """After any sequence of writes, tables, log, outbox and clients are those of the model."""
    run_state_machine_as_test(
        partial(WriteHistory, SqlDriver(connection), connection),  # type: ignore[arg-type]
        settings=settings(REPRODUCIBLE, max_examples=60, stateful_step_count=30),
    )


# Time to shrink a failing example to the shortest history that fails.
@pytest.mark.timeout(400)
@pytest.mark.slow
def test_every_history_over_http(cast: Cast, connection: Connection) -> None:
    """The same holds through the API, whose answers have less detail and whose lists have pages."""
    run_state_machine_as_test(
        partial(WriteHistory, HttpDriver(cast), connection),  # type: ignore[arg-type]
        settings=settings(REPRODUCIBLE, max_examples=12, stateful_step_count=20),
    )
