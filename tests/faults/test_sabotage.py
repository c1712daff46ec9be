"""Each defect that the machinery exists for is put in on purpose, and must be caught in a minute.

A machinery that catches nothing proves nothing.
"""

import asyncio
import time
from pathlib import Path

import pytest

from chat.sql import FOLDER
from client.reducer import Json, Outcome, Reducer
from tests.faults.catalogue import Fault
from tests.faults.faults import ALL
from tests.faults.stand import Stand
from tests.faults.trial import Row, Sabotage, run_trial

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

CAUGHT_WITHIN = 60.0


def find_fault(name: str) -> Fault:
    """Return the fault of this name."""
    (found,) = (fault for fault in ALL if fault.name == name)
    return found


def run(fault: str, sabotage: Sabotage, template: Path, folder: Path) -> Row:
    """Run a trial with a defect, in a minute at most."""
    began = time.monotonic()
    (folder / "trial").mkdir()
    row = asyncio.run(
        run_trial(
            find_fault(fault), 1, "gateway", template, folder / "trial", folder / "kept", sabotage
        )
    )
    assert time.monotonic() - began < CAUGHT_WITHIN
    return row


def replacing(file: str, old: str, new: str, *others: str) -> Sabotage:
    """Change the text of the SQL functions of a file; `others` are statements run besides."""
    text = (FOLDER / "functions" / f"{file}.sql").read_text(encoding="utf-8")
    assert old in text, "the sabotage no longer finds what it breaks"

    async def prepare(stand: Stand) -> None:
        for statement in (text.replace(old, new), *others):
            await stand.fetch(statement)

    return Sabotage(prepare)


def test_without_sabotage_nothing_is_caught(template: Path, tmp_path: Path) -> None:
    """The same trial passes when nothing is wrong: what the others catch is their defect."""
    row = run("answer to the client swallowed", Sabotage(), template, tmp_path)

    assert row.is_ok, (row.complaints, row.verdict.describe())


def test_a_room_that_is_not_locked_is_caught(template: Path, tmp_path: Path) -> None:
    """Without the lock and the constraint behind it, two messages get one seq."""
    sabotage = replacing(
        "messages",
        "FOR NO KEY UPDATE;",
        ";",
        "ALTER TABLE chat_message DROP CONSTRAINT chat_message_seq_once_per_room",
        "ALTER TABLE chat_event DROP CONSTRAINT chat_event_version_once_per_room",
    )

    row = run("answer to the client swallowed", sabotage, template, tmp_path)

    assert "C4" in row.verdict.failures


def test_a_key_that_is_not_looked_up_is_caught(template: Path, tmp_path: Path) -> None:
    """Without the look-up and the constraint behind it, a repeated send is stored twice."""
    sabotage = replacing(
        "messages",
        "AND m.client_id = p_client_ids[ordinal];",
        "AND m.client_id = p_client_ids[ordinal] AND false;",
        "ALTER TABLE chat_message DROP CONSTRAINT chat_message_client_id_once",
    )

    row = run("answer to the client swallowed", sabotage, template, tmp_path)

    assert "C3" in row.verdict.failures
    assert row.verdict.doubled > 0


def test_an_outbox_written_after_the_commit_is_caught(template: Path, tmp_path: Path) -> None:
    """Rows that are written by whoever comes first after the commit are told out of order."""

    async def prepare(stand: Stand) -> None:
        text = (FOLDER / "functions/events.sql").read_text(encoding="utf-8")
        await stand.fetch("CREATE UNLOGGED TABLE late (LIKE chat_outbox INCLUDING DEFAULTS)")
        await stand.fetch("ALTER TABLE late ALTER id DROP NOT NULL")
        await stand.fetch(text.replace("INSERT INTO chat_outbox", "INSERT INTO late"))
        # What an application does after its commit: a transaction of its own, some time later.
        stand.run_beside(write_late(stand))

    row = run("API worker killed", Sabotage(prepare), template, tmp_path)

    assert "C6c" in row.verdict.failures


async def write_late(stand: Stand) -> None:
    """Move what was queued to the outbox, after the commit and without regard to its order."""
    while True:
        await stand.fetch(
            "WITH moved AS (DELETE FROM late RETURNING method, payload, partition, created_at)"
            " INSERT INTO chat_outbox (method, payload, partition, created_at)"
            " SELECT * FROM moved ORDER BY random()"
        )
        await asyncio.sleep(0.02)


def test_an_event_that_is_not_told_is_caught(template: Path, tmp_path: Path) -> None:
    """Two in a hundred events are logged and not published, and the next one heals each gap."""

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

    assert "C6d" in row.verdict.failures, row.verdict.describe()
    assert row.verdict.missed > 0


async def empty_the_database(stand: Stand) -> None:
    """Tell much, then begin again with an empty database beside a realtime server that goes on.

    Rooms, users and versions are the same afterwards; only the installation's epoch is another.
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
    while await stand.fetch("SELECT FROM chat_outbox LIMIT 1"):  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.05)
    await stand.fetch(
        "TRUNCATE chat_room, chat_member, chat_message, chat_event, chat_outbox RESTART IDENTITY;"
        " UPDATE chat_installation SET epoch = 'another'"
    )


def test_a_database_that_begins_again_is_told_of(template: Path, tmp_path: Path) -> None:
    """The epoch in its keys keeps what is new apart from what was told before."""
    sabotage = Sabotage(empty_the_database)

    row = run("answer to the client swallowed", sabotage, template, tmp_path)

    assert row.is_ok, (row.complaints, row.verdict.describe())


def test_keys_without_the_epoch_are_caught(template: Path, tmp_path: Path) -> None:
    """Without it the events of a database that begins again are dropped as told already."""
    without = replacing("events", "v_epoch || ':' || p_room_id", "p_room_id")

    async def prepare(stand: Stand) -> None:
        assert without.prepare is not None
        await without.prepare(stand)
        await empty_the_database(stand)

    row = run("answer to the client swallowed", Sabotage(prepare), template, tmp_path)

    assert row.verdict.failures.keys() == {"C7", "C10"}, row.verdict.describe()


class Careless(Reducer):
    """A client that applies whatever comes."""

    def receive(self, event: Json) -> Outcome:
        """Apply it, also a second time."""
        held = self._rooms.get(event["body"]["room"]["id"])
        if held is not None and event["body"]["room"]["version"] <= held.room["version"]:
            self._apply(held, event)
            return Outcome.APPLIED
        return super().receive(event)


def test_a_client_that_does_not_drop_is_caught(template: Path, tmp_path: Path) -> None:
    """What is published twice is applied twice."""
    row = run(
        "realtime killed after publishing", Sabotage(make_reducer=Careless), template, tmp_path
    )

    assert row.verdict.doubled > 0


def test_a_leaver_who_is_still_told_is_caught(template: Path, tmp_path: Path) -> None:
    """Someone who left and is told what follows is a leak."""
    sabotage = replacing(
        "members",
        "DELETE FROM chat_member m WHERE m.room_id = p_room_id AND m.user_id = p_user_id",
        "UPDATE chat_member m SET user_id = user_id || ' left ' || id"
        " WHERE m.room_id = p_room_id AND m.user_id = p_user_id",
    )

    row = run("API worker frozen", sabotage, template, tmp_path)

    assert row.verdict.leaked > 0
