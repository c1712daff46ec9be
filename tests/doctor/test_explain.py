"""`manage.py explain`: each verdict, on a message that was sent through the real API."""

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.test import override_settings

from chat.doctor.explanation import VERDICTS
from tests.conformance.clients import Outbox, run
from tests.conformance.servers import start_server
from tests.doctor.conftest import execute
from tests.support.actors import Actor, Cast
from tests.support.processes import PROJECT, serve_api

Document = dict[str, Any]


@pytest.fixture(scope="module")
def live_url(clone_database: Callable[[], str]) -> str:
    """Return a database of this module's own, because its outbox is drained."""
    return clone_database()


@pytest.fixture(scope="module")
def live_api(live_url: str) -> Iterator[str]:
    """Return the address of an API on it."""
    with serve_api(live_url) as address:
        yield address


@dataclass
class Desk:
    """An operator with a complaint, and the people it is about."""

    url: str
    cast: Cast

    def user(self, name: str, *, listens: bool = True) -> Actor:
        """Return a user, who has a token for the realtime server unless told otherwise."""
        user = self.cast.user(name)
        return user.listen() if listens else user

    def explain(self, message: int, user: Actor, **settings: object) -> Document:
        """Run the command, require that it explains, and return its document."""
        output = io.StringIO()
        with (
            override_settings(DATABASE_URL=self.url, **settings),
            pytest.raises(SystemExit) as ended,
        ):
            call_command(
                *("explain", "--message", str(message), "--user", user.user_id, "--json"),
                stdout=output,
            )
        assert ended.value.code == 0, output.getvalue()
        document: Document = json.loads(output.getvalue())
        assert document["meaning"] == VERDICTS[document["verdict"]]
        assert document["look_at"]
        return document

    @contextmanager
    def realtime(self) -> Iterator[None]:
        """Run the gateway, and go on when it has taken everything from the outbox."""
        server = start_server("gateway", self.url, 8)

        async def wait() -> None:
            async with Outbox.open(self.url) as outbox:
                await outbox.wait_drained()

        try:
            run(wait())
            yield
        finally:
            assert server.stop() == 0

    def drain(self) -> None:
        """Let the gateway take everything from the outbox, and end it."""
        with self.realtime():
            pass


@pytest.fixture
def desk(live_url: str, live_api: str) -> Iterator[Desk]:
    """Return the operator's place."""
    with Cast(live_api) as cast:
        yield Desk(live_url, cast)


def send(user: Actor, room: int) -> int:
    """Send a message and return its id."""
    answer = user.send(room, "the canary")
    assert answer.status_code == 201, answer.text
    message: int = answer.json()["id"]
    return message


def states(document: Document) -> dict[str, str]:
    """Return the state of each fact."""
    return {fact["subject"]: fact["state"] for fact in document["facts"]}


def sentence(document: Document, subject: str) -> str:
    """Return what a fact says."""
    (found,) = (fact["sentence"] for fact in document["facts"] if fact["subject"] == subject)
    return str(found)


def leave(user: Actor, room: int) -> None:
    """Leave a room."""
    assert user.post(f"/api/rooms/{room}/leave/").status_code == 200


def join(user: Actor, room: int) -> None:
    """Join a room."""
    assert user.post(f"/api/rooms/{room}/join/").status_code == 200


def test_an_event_that_waits(desk: Desk) -> None:
    """Without a realtime server the row waits; it says where, how long, and that none is there."""
    alice, bob = desk.user("alice"), desk.user("bob")
    room = desk.cast.service().create_room(alice, bob)
    message = send(alice, room)

    found = desk.explain(message, bob)

    assert (found["verdict"], found["room"], found["version"]) == ("waiting", room, 3)
    assert states(found) == {
        "message": "stored",
        "event": "logged",
        "member": "yes",
        "listener": "yes",
        "outbox": "waiting",
        "realtime": "not_connected",
    }
    assert "with 0 rows before it" not in sentence(found, "outbox")  # two joins are before it


def test_an_event_that_was_handed_over(desk: Desk) -> None:
    """Once the server has taken the row, the rest is in its log and counters: it says so."""
    alice, bob = desk.user("alice"), desk.user("bob")
    room = desk.cast.service().create_room(alice, bob)
    message = send(alice, room)

    with desk.realtime():
        found = desk.explain(message, bob)

    assert found["verdict"] == "handed_over"
    assert states(found)["outbox"] == "drained"
    assert states(found)["realtime"] == "connected"
    assert any("3008" in place for place in found["look_at"])
    assert bob.user_id in " ".join(found["look_at"])


def test_members_at_the_messages_version(desk: Desk) -> None:
    """Who left later was one; who left before, joined later or never joined was none."""
    alice, bob, charlie, dora, eve, fay = map(desk.user, ("alice", "bob", "c", "d", "e", "f"))
    host = desk.cast.service()
    room = host.create_room(alice, bob, charlie)
    join(eve, room)
    leave(charlie, room)
    message = send(alice, room)
    for user in (bob, eve):
        leave(user, room)
    join(dora, room)
    join(eve, room)
    desk.drain()

    found = {user.user_id: desk.explain(message, user) for user in (bob, charlie, dora, eve, fay)}

    assert {name: document["verdict"] for name, document in found.items()} == {
        bob.user_id: "handed_over",
        charlie.user_id: "not_a_member",
        dora.user_id: "not_a_member",
        eve.user_id: "handed_over",
        fay.user_id: "not_a_member",
    }
    assert "left at version" in sentence(found[charlie.user_id], "member")
    assert "after the message" in sentence(found[dora.user_id], "member")
    assert "neither joined nor left" in sentence(found[fay.user_id], "member")


def test_a_member_who_never_asked_for_a_token(desk: Desk) -> None:
    """Nothing was published to a user who was not listening, however long the outbox is empty."""
    alice, bob = desk.user("alice"), desk.user("bob", listens=False)
    room = desk.cast.service().create_room(alice, bob)
    message = send(alice, room)
    desk.drain()

    found = desk.explain(message, bob)

    assert (found["verdict"], states(found)["listener"]) == ("not_listening", "no")
    assert any("/api/token/" in place for place in found["look_at"])


def test_a_listener_who_lapsed_before(desk: Desk) -> None:
    """A token that ended before the message, and none since: not published."""
    alice, bob = desk.user("alice"), desk.user("bob")
    room = desk.cast.service().create_room(alice, bob)
    lapse = (
        f"UPDATE chat_listener SET until = now() - interval '1 h' WHERE user_id = '{bob.user_id}'"
    )
    execute(desk.url, lapse)
    message = send(alice, room)
    desk.drain()

    found = desk.explain(message, bob)

    assert (found["verdict"], states(found)["listener"]) == ("not_listening", "no")
    assert "had ended by" in sentence(found, "listener")


def test_a_first_token_after_the_message(desk: Desk) -> None:
    """A row that was written later does not say whether there was one before: so it says that."""
    alice, bob = desk.user("alice"), desk.user("bob", listens=False)
    room = desk.cast.service().create_room(alice, bob)
    message = send(alice, room)
    desk.drain()
    bob.listen()

    found = desk.explain(message, bob)

    assert (found["verdict"], states(found)["listener"]) == ("listening_unknown", "unknown")
    assert "after the message" in sentence(found, "listener")


def test_a_listener_who_came_back_after_the_message(desk: Desk) -> None:
    """The time of a lapse is kept: before it the user was a listener, after it this is unknown."""
    alice, bob = desk.user("alice"), desk.user("bob")
    room = desk.cast.service().create_room(alice, bob)
    early = send(alice, room)
    age = "UPDATE chat_event SET created_at = created_at - interval '3 h' WHERE message_id = %s"
    with psycopg.connect(desk.url, autocommit=True) as connection:
        connection.execute(age, [early])
        lapse = "UPDATE chat_listener SET until = now() - interval '1 h' WHERE user_id = %s"
        connection.execute(lapse, [bob.user_id])
    late = send(alice, room)
    desk.drain()
    bob.listen()

    assert desk.explain(early, bob)["verdict"] == "handed_over"
    found = desk.explain(late, bob)
    assert found["verdict"] == "listening_unknown"
    assert "had lapsed at" in sentence(found, "listener")


def test_everyone_is_sent_everything(desk: Desk) -> None:
    """With CHAT_AUDIENCE_HOURS=0, and until `everyone_until`, a member needs no token."""
    alice, bob = desk.user("alice"), desk.user("bob", listens=False)
    room = desk.cast.service().create_room(alice, bob)
    message = send(alice, room)
    desk.drain()

    assert desk.explain(message, bob, CHAT_AUDIENCE_HOURS=0)["verdict"] == "handed_over"
    execute(desk.url, "UPDATE chat_installation SET everyone_until = now() + interval '1 h'")
    found = desk.explain(message, bob)
    execute(desk.url, "UPDATE chat_installation SET everyone_until = NULL")
    assert (found["verdict"], states(found)["listener"]) == ("handed_over", "everyone")


def test_a_deleted_message(desk: Desk) -> None:
    """It was published, and its text is gone since: a client shows it without text."""
    alice, bob = desk.user("alice"), desk.user("bob")
    room = desk.cast.service().create_room(alice, bob)
    message = send(alice, room)
    execute(desk.url, f"SELECT chat.delete_message({message})")
    desk.drain()

    found = desk.explain(message, bob)

    assert (found["verdict"], states(found)["message"]) == ("handed_over", "deleted")
    assert "It was deleted at" in sentence(found, "message")


def test_a_log_that_was_pruned(desk: Desk) -> None:
    """Members of then who still are ones are known; of those who left, nothing is: it says so.

    What the log still has is used: one who left after a message that is in it was a member.
    """
    alice, bob, charlie = map(desk.user, ("alice", "bob", "charlie"))
    room = desk.cast.service().create_room(alice, bob, charlie)
    pruned, kept = send(alice, room), send(alice, room)
    leave(charlie, room)
    desk.drain()
    execute(desk.url, f"DELETE FROM chat_event WHERE room_id = {room} AND version <= 4")

    stayed, left = desk.explain(pruned, bob), desk.explain(pruned, charlie)
    later = desk.explain(kept, charlie)

    assert (stayed["verdict"], stayed["version"]) == ("handed_over", None)
    assert states(stayed)["event"] == "pruned"
    assert "begins at 5" in sentence(stayed, "event")
    assert (left["verdict"], states(left)["member"]) == ("membership_unknown", "unknown")
    assert (later["verdict"], later["version"]) == ("handed_over", 5)
    assert "left at version 6, later" in sentence(later, "member")


def test_rows_for_others_are_told_apart(desk: Desk) -> None:
    """In a room of more than 1,000 listeners one row may wait while that of the user has gone."""
    alice, bob = desk.user("alice"), desk.user("bob")
    room = desk.cast.service().create_room(alice, bob)
    message = send(alice, room)
    rest = """
        UPDATE chat_outbox o
        SET payload = jsonb_set(o.payload::jsonb, '{channels}', '["personal:x"]')
        WHERE o.payload->'data'->>'type' = 'message_added'
    """
    execute(desk.url, rest)

    found = desk.explain(message, bob)
    desk.drain()

    assert (found["verdict"], states(found)["outbox"]) == ("handed_over", "waiting_for_others")


def test_revoked_tokens_are_a_fact(desk: Desk) -> None:
    """Where the user's tokens are refused since a time, it is said."""
    alice, bob = desk.user("alice"), desk.user("bob")
    room = desk.cast.service().create_room(alice, bob)
    message = send(alice, room)
    desk.drain()
    table = """
        CREATE TABLE IF NOT EXISTS chat_revocation (
            user_id varchar(128) PRIMARY KEY, not_before timestamptz NOT NULL,
            changed_at timestamptz NOT NULL, changed_in bigint NOT NULL)
    """
    execute(desk.url, table)
    execute(desk.url, f"INSERT INTO chat_revocation VALUES ('{bob.user_id}', now(), now(), 1)")

    assert states(desk.explain(message, bob))["tokens"] == "revoked"
    assert "tokens" not in states(desk.explain(message, alice))


def run_explain(url: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, without a single secret."""
    return subprocess.run(
        [sys.executable, "manage.py", "explain", *options],
        cwd=PROJECT,
        env={"DATABASE_URL": url, "PATH": "", "DEBUG": "0"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_person_reads_the_verdict_first(desk: Desk) -> None:
    """The verdict, the facts and where to look stand in the output; no content does."""
    alice, bob = desk.user("alice"), desk.user("bob")
    room = desk.cast.service().create_room(alice, bob)
    message = send(alice, room)

    done = run_explain(desk.url, "--message", str(message), "--user", bob.user_id)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == f"waiting: {VERDICTS['waiting']}"
    assert f"seq 1 of room {room}" in done.stdout
    assert "Where to look next:" in done.stdout
    assert "canary" not in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--message", "999999999", "--user", "u"), 1, "There is no message 999999999."),
        (("--message", "0", "--user", "u"), 2, "'0' is not the id of a message"),
        (("--message", "9" * 30, "--user", "u"), 2, "is not the id of a message"),
        (("--message", "1", "--user", ""), 2, "argument --user"),
        (("--message", "1"), 2, "--user"),
    ],
)
def test_what_cannot_be_explained(
    live_url: str, options: tuple[str, ...], code: int, said: str
) -> None:
    """An unknown message is exit code 1, an option that cannot be right 2; each is one sentence."""
    done = run_explain(live_url, *options)

    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_database_that_cannot_be_read() -> None:
    """It is exit code 2, and with --json still one document."""
    options = ("--message", "1", "--user", "u", "--json")
    done = run_explain("postgresql:///x?host=/nonexistent", *options)

    assert done.returncode == 2
    assert json.loads(done.stdout)["verdict"] is None
    assert "nonexistent" in json.loads(done.stdout)["problem"]
