"""Defects that the rig exists to find are put in on purpose, and must be found within a minute.

A rig that finds nothing proves nothing.
"""

import asyncio
import time
from pathlib import Path

import pytest

from chat.sql import FOLDER
from client.reducer import Json, Outcome, Reducer
from tests.faults.catalogue import get_fault
from tests.history.verdict import Check
from tests.rig.running import Row, Sabotage, run_trial
from tests.rig.stand import Stand

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

FOUND_WITHIN = 60.0


def run(fault: str, sabotage: Sabotage, template: Path, folder: Path) -> Row:
    """Run a trial with a defect, in a minute at most."""
    began = time.monotonic()
    (folder / "trial").mkdir()
    row = asyncio.run(
        run_trial(
            get_fault(fault), 1, "gateway", template, folder / "trial", folder / "kept", sabotage
        )
    )
    assert time.monotonic() - began < FOUND_WITHIN
    return row


def replacing(file: str, old: str, new: str, *others: str) -> Sabotage:
    """Change the text of the SQL functions of a file; `others` are more statements to run."""
    text = (FOLDER / "functions" / f"{file}.sql").read_text(encoding="utf-8")
    assert old in text, "the text that the sabotage replaces is no longer there"

    async def prepare(stand: Stand) -> None:
        for statement in (text.replace(old, new), *others):
            await stand.fetch(statement)

    return Sabotage(prepare)


@pytest.mark.long
def test_without_sabotage_nothing_is_found(template: Path, tmp_path: Path) -> None:
    """The same trial passes when nothing is wrong: what the other tests find is their defect."""
    row = run("answer to the client swallowed", Sabotage(), template, tmp_path)

    assert row.is_ok, (row.complaints, row.verdict.describe())


def test_a_room_that_is_not_locked_is_found(template: Path, tmp_path: Path) -> None:
    """Without the lock and the constraint behind it, two messages get one seq."""
    sabotage = replacing(
        "messages",
        "FOR NO KEY UPDATE SKIP LOCKED);",
        ");",
        "ALTER TABLE chat_message DROP CONSTRAINT chat_message_seq_once_per_room",
        "ALTER TABLE chat_event DROP CONSTRAINT chat_event_version_once_per_room",
    )

    row = run("answer to the client swallowed", sabotage, template, tmp_path)

    assert Check.ONE_ORDER in row.verdict.failures


@pytest.mark.long
def test_a_key_that_is_not_looked_up_is_found(template: Path, tmp_path: Path) -> None:
    """Without the look-up and the constraint behind it, a repeated send is stored twice."""
    sabotage = replacing(
        "messages",
        "ON CONFLICT (room_id, user_id, client_id) DO NOTHING",
        "",
        "ALTER TABLE chat_message DROP CONSTRAINT chat_message_client_id_once",
    )

    row = run("answer to the client swallowed", sabotage, template, tmp_path)

    assert Check.ONE_KEY_ONE_MESSAGE in row.verdict.failures
    assert row.verdict.doubled > 0


@pytest.mark.long
def test_an_outbox_written_after_the_commit_is_found(template: Path, tmp_path: Path) -> None:
    """Rows that are written to the outbox after the commit are published out of order."""

    async def prepare(stand: Stand) -> None:
        text = (FOLDER / "functions/events.sql").read_text(encoding="utf-8")
        await stand.fetch("CREATE UNLOGGED TABLE late (LIKE chat_outbox INCLUDING DEFAULTS)")
        await stand.fetch("ALTER TABLE late ALTER id DROP NOT NULL")
        await stand.fetch(text.replace("INSERT INTO chat_outbox", "INSERT INTO late"))
        # What an application does after its commit: a transaction of its own, some time later.
        stand.run_beside(write_late(stand))

    row = run("API worker killed", Sabotage(prepare), template, tmp_path)

    assert Check.PUBLISHED_IN_ORDER in row.verdict.failures


async def write_late(stand: Stand) -> None:
    """Move the queued rows to the outbox after the commit, in any order."""
    while True:
        await stand.fetch(
            "WITH moved AS (DELETE FROM late RETURNING method, payload, partition, created_at)"
            " INSERT INTO chat_outbox (method, payload, partition, created_at)"
            " SELECT * FROM moved ORDER BY random()"
        )
        await asyncio.sleep(0.02)


@pytest.mark.long
def test_an_event_that_is_not_published_is_found(template: Path, tmp_path: Path) -> None:
    """Two in a hundred events are logged and not published; the next event repairs each gap."""

    async def prepare(stand: Stand) -> None:
        await stand.fetch(
            "CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RETURN CASE WHEN random() < 0.98 THEN NEW END; END $$"
        )
        await stand.fetch(
            "CREATE TRIGGER forget BEFORE INSERT ON chat_outbox"
            " FOR EACH ROW EXECUTE FUNCTION forget()"
        )

    row = run("API worker frozen", Sabotage(prepare), template, tmp_path)

    assert Check.EVERY_EVENT_ARRIVES in row.verdict.failures, row.verdict.describe()
    assert row.verdict.missed > 0


@pytest.mark.long
def test_a_listener_written_after_the_answer_is_found(template: Path, tmp_path: Path) -> None:
    """A user whose row is written seconds after the token misses what is sent in between."""
    text = (FOLDER / "functions/listeners.sql").read_text(encoding="utf-8")
    # What senders read: for one room, and for several.
    reads = ("SELECT l.channel FROM chat_listener l", "FROM chat_member m JOIN chat_listener l")

    async def prepare(stand: Stand) -> None:
        sabotaged = text.replace("chat_listener", "late")
        for read in reads:
            sabotaged = sabotaged.replace(read.replace("chat_listener", "late"), read)
        assert sabotaged.count("chat_listener") == len(reads)
        await stand.fetch("CREATE UNLOGGED TABLE late (LIKE chat_listener INCLUDING ALL)")
        await stand.fetch(sabotaged)
        stand.run_beside(write_listeners_late(stand))

    row = run("API worker frozen", Sabotage(prepare), template, tmp_path)

    assert Check.EVERY_EVENT_ARRIVES in row.verdict.failures, row.verdict.describe()
    assert row.verdict.missed > 0


async def write_listeners_late(stand: Stand) -> None:
    """Copy the rows to where senders read them, some seconds after their tokens were answered."""
    while True:
        await asyncio.sleep(3)
        await stand.fetch("INSERT INTO chat_listener SELECT * FROM late ON CONFLICT DO NOTHING")


async def empty_the_database(stand: Stand) -> None:
    """Publish many events, then empty the database while the realtime server goes on.

    Rooms, users and versions are the same afterwards; only the installation's epoch is different.
    """
    users = [f"user{n}" for n in range(12)]
    await stand.fetch("SELECT FROM chat.create_room('hot', %s)", [users])
    for batch in range(20):
        await stand.fetch(
            "SELECT FROM chat.send_messages(array_fill(1::bigint, ARRAY[200]),"
            " array_fill('user0'::text, ARRAY[200]),"
            " ARRAY(SELECT %s || n FROM generate_series(1, 200) n),"
            " array_fill('before'::text, ARRAY[200]))",
            [f"{batch}-"],
        )
    while await stand.fetch("SELECT FROM chat_outbox LIMIT 1"):  # noqa: ASYNC110 - nothing signals
        await asyncio.sleep(0.05)
    await stand.fetch(
        "TRUNCATE chat_room, chat_room_key, chat_member, chat_message, chat_event, chat_outbox"
        " RESTART IDENTITY CASCADE;"
        " UPDATE chat_installation SET epoch = 'another'"
    )


@pytest.mark.long
def test_events_of_an_emptied_database_are_published(template: Path, tmp_path: Path) -> None:
    """The epoch in the keys distinguishes new events from those that were published before."""
    sabotage = Sabotage(empty_the_database)

    row = run("answer to the client swallowed", sabotage, template, tmp_path)

    assert row.is_ok, (row.complaints, row.verdict.describe())


@pytest.mark.long
def test_keys_without_the_epoch_are_found(template: Path, tmp_path: Path) -> None:
    """Without it the events of an emptied database are dropped as already published."""
    without = replacing("events", "v_installation.epoch || ':' || v_room.id", "v_room.id")

    async def prepare(stand: Stand) -> None:
        assert without.prepare is not None
        await without.prepare(stand)
        await empty_the_database(stand)

    row = run("answer to the client swallowed", Sabotage(prepare), template, tmp_path)

    # A device that is told of a later event reads what it missed, another one keeps an old state.
    found = row.verdict.failures.keys() & {Check.STATES_AGREE, Check.EVERY_EVENT_ARRIVES}
    assert found, row.verdict.describe()


class Careless(Reducer):
    """A client that applies every event that it receives."""

    def receive(self, event: Json) -> Outcome:
        """Apply the event, even if it was applied before."""
        held = self._rooms.get(event["body"]["room"]["id"])
        if held is not None and event["body"]["room"]["version"] <= held.room["version"]:
            self._apply(held, event)
            return Outcome.APPLIED
        return super().receive(event)


@pytest.mark.long
def test_a_client_that_drops_no_repeated_event_is_found(template: Path, tmp_path: Path) -> None:
    """What is published twice is applied twice."""
    row = run(
        "realtime killed after publishing", Sabotage(make_reducer=Careless), template, tmp_path
    )

    assert row.verdict.doubled > 0


@pytest.mark.long
def test_events_sent_to_a_user_who_left_are_found(template: Path, tmp_path: Path) -> None:
    """An event that reaches a user after he left is a leak."""
    sabotage = replacing(
        "members",
        "DELETE FROM chat_member m WHERE m.room_id = p_room.id AND m.user_id = p_user_id",
        "UPDATE chat_member m SET user_id = user_id || ' left ' || id"
        " WHERE m.room_id = p_room.id AND m.user_id = p_user_id",
    )

    row = run("API worker frozen", sabotage, template, tmp_path)

    assert row.verdict.leaked > 0
