"""`--repair` mends what is surely safe, reports it, and changes nothing else."""

import io
import json
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.core.management import call_command
from django.test import override_settings
from psycopg.rows import dict_row

from chat.actions.messages import NewMessage, send_messages
from chat.doctor.catalogue import Place
from chat.doctor.examination import Examination
from chat.doctor.repairs import REPAIRS
from chat.sql.database import run_call
from tests.doctor.conftest import BUSY, examine, execute
from tests.doctor.damages import DAMAGES
from tests.support.sessions import Session, wait_until_waiting

MENDED = {name: damage for name, damage in DAMAGES.items() if damage.code in REPAIRS}
UNMENDED = [
    "a message is lost that the log tells of",
    "the event of a message is lost",
    "a counter of messages runs ahead",
    "a version runs ahead",
]


def read_all(url: str, table: str) -> list[str]:
    """Return a table's rows as they are written."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(f"SELECT t::text FROM {table} t ORDER BY id".encode())
        return [text for (text,) in rows]


@pytest.mark.parametrize("name", MENDED)
def test_a_repair_mends(url: str, name: str) -> None:
    """One run mends and says so with what was before, and the next one finds nothing."""
    execute(url, MENDED[name].sql)

    mending = examine(url, "--repair")
    healthy = examine(url)

    finding = mending.finding(MENDED[name].code)
    assert finding["is_mendable"]
    assert finding["mended"] == finding["count"] == 1
    assert mending.exit_code == 0
    (line,) = mending.mended
    assert line["mended"] == MENDED[name].code
    assert line["before"] != line["after"]
    assert healthy.codes == set()


def test_a_repair_writes_no_message_and_no_event(url: str) -> None:
    """What is lost stays lost, is reported again, and not one message, event or room changes."""
    for name in UNMENDED:
        execute(url, DAMAGES[name].sql)
    tables = ("chat_message", "chat_event", "chat_room", "chat_outbox", "chat_member")
    before = {table: read_all(url, table) for table in tables}

    first = examine(url, "--repair")
    second = examine(url)

    assert first.mended == []
    assert first.exit_code == 1
    assert not any(finding["is_mendable"] for finding in first.report["findings"])
    assert second.codes == first.codes
    assert {table: read_all(url, table) for table in tables} == before


def test_without_repair_nothing_is_written(url: str) -> None:
    """The doctor's own session is read-only, also where there is much to mend."""
    for damage in MENDED.values():
        execute(url, damage.sql)
    tables = ("chat_message", "chat_event", "chat_room", "chat_outbox", "chat_member")
    before = {table: read_all(url, table) for table in tables}

    examined = examine(url)

    assert examined.codes == set(REPAIRS)
    assert {table: read_all(url, table) for table in tables} == before


def test_the_doctor_cannot_write(url: str) -> None:
    """Whatever a check would do, its session refuses to change a row."""
    with psycopg.connect(url, autocommit=True) as connection:
        Examination(connection, time.monotonic() + 60)

        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute(REPAIRS["member_channel"], {"room": BUSY, "user": "bob"})


def test_every_place_is_mended_not_only_the_examples(url: str) -> None:
    """Of a thousand wrong channels five are shown, all are mended, and sends reach everyone."""
    execute(url, "UPDATE chat_member SET channel = 'personal:mallory'")

    mending = examine(url, "--repair")

    finding = mending.finding("member_channel")
    assert len(finding["examples"]) == 5
    assert finding["mended"] == finding["count"] == len(mending.mended) == 1013
    assert examine(url).codes == set()
    with psycopg.connect(url, autocommit=True) as connection:
        run_call(connection, send_messages([NewMessage(BUSY, "bob", "key", "to all")]))
        (row,) = connection.execute(
            "SELECT payload->'channels' FROM chat_outbox ORDER BY id DESC LIMIT 1"
        ).fetchall()
    assert row[0] == [
        "personal:alice",
        "personal:bob",
        "personal:dora",
        "personal:~ce~a9mega~20~e2~98~95",
    ]


def test_a_row_that_is_removed_is_printed_whole(url: str) -> None:
    """An undeliverable row leaves the outbox and stands in the output, column by column."""
    execute(url, DAMAGES["a row is for a foreign channel"].sql)
    with psycopg.connect(url, row_factory=dict_row) as connection:
        (row,) = connection.execute("SELECT * FROM chat_outbox ORDER BY id DESC LIMIT 1").fetchall()

    (line,) = examine(url, "--repair").mended

    printed = json.loads(line["before"])
    assert line["after"] is None
    assert printed["payload"] == row["payload"]
    assert (printed["id"], printed["partition"]) == (row["id"], row["partition"])


def test_a_sequence_is_never_moved_back(url: str) -> None:
    """The sequence goes on after the greatest id; one that is ahead stays where it is."""
    execute(url, "SELECT setval('chat_room_id_seq', 2), setval('chat_member_id_seq', 50000)")

    (line,) = examine(url, "--repair").mended

    assert line == {"mended": "sequence_behind", "table": "chat_room", "before": "3", "after": "7"}
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT nextval('chat_member_id_seq')").fetchone() == (50001,)


@pytest.mark.parametrize(
    ("code", "place"),
    [
        ("member_count", {"room": BUSY}),
        ("member_channel", {"room": BUSY, "user": "bob"}),
        ("listener_channel", {"user": "bob"}),
        ("sequence_behind", {"table": "chat_message"}),
        ("outbox_partition", {"outbox": 1}),
        ("outbox_undeliverable", {"outbox": 1}),
    ],
)
def test_a_repair_looks_again(url: str, code: str, place: Place) -> None:
    """Where nothing is wrong any more, a repair changes nothing and has no row to give."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "UPDATE chat_outbox SET id = 1 WHERE id = (SELECT min(id) FROM chat_outbox)"
        )
        before = read_all(url, "chat_outbox")

        assert connection.execute(REPAIRS[code], place).fetchall() == []

    assert read_all(url, "chat_outbox") == before


def test_a_count_waits_for_who_is_joining(url: str) -> None:
    """A repair counts after the join that holds the room, not before it."""
    execute(url, f"UPDATE chat_room SET member_count = 0 WHERE id = {BUSY}")
    joining = Session(url)
    with (
        psycopg.connect(url, autocommit=True, row_factory=dict_row) as observer,
        psycopg.connect(url, autocommit=True) as mending,
        ThreadPoolExecutor(max_workers=1) as thread,
    ):
        joining.begin()
        joining.execute("SELECT FROM chat.add_members(%s, '{zoe}')", [BUSY])
        waiting = thread.submit(mending.execute, REPAIRS["member_count"], {"room": BUSY})
        wait_until_waiting(observer)
        joining.commit()

        rows = waiting.result(15).fetchall()

    joining.close()
    assert rows == [("1", "5")]


def test_a_repair_ends_in_time(url: str) -> None:
    """Rooms that stay locked are waited for one by one, and not beyond `--seconds`."""
    execute(url, "UPDATE chat_room SET member_count = 99")
    with psycopg.connect(url) as holder:
        rooms = holder.execute("SELECT id FROM chat_room FOR UPDATE").fetchall()
        began = time.monotonic()
        mending = examine(url, "--repair", "--seconds=1")
        took = time.monotonic() - began

    assert len(rooms) > 2
    assert took < 4, "more than one room was waited for"
    assert mending.exit_code == 1
    assert mending.finding("member_count")["mended"] == 0


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_row_that_is_removed_is_written_out(url: str, options: tuple[str, ...]) -> None:
    """No character of a removed row turns the terminal's line around or is invisible in it."""
    execute(
        url,
        "INSERT INTO chat_outbox (method, payload, partition, created_at)"
        " VALUES ('publish', '{\"text\": \"\u202ebob\u200b\u009b\"}', 0, now())",
    )
    output, errors = io.StringIO(), io.StringIO()

    with override_settings(DATABASE_URL=url), pytest.raises(SystemExit):
        call_command("doctor", "--repair", *options, stdout=output, stderr=errors)

    said = output.getvalue() + errors.getvalue()
    assert "bob" in said
    assert not set("\u202e\u200b\u009b") & set(said)
