"""Many join a large room at once: all is logged, and the last event stands for all of them."""

import pytest

from chat.actions.messages import send_messages
from chat.sql.database import run_call
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.support.ledger import read_exact_ledger
from tests.support.memberships import add_members, remove_member


@pytest.mark.parametrize(
    "before, joining, queued",
    [
        (100, 100, 100),  # 100 events for 200 members are 20,000: not beyond the limit
        (64, 113, 1),  # 113 events for 177 members are 20,001
        (150, 150, 1),
        (0, 141, 141),
        (0, 142, 1),
    ],
)
def test_beyond_20000_deliveries_only_the_last_event_is_queued(
    place: Place, connection: Connection, before: int, joining: int, queued: int
) -> None:
    """The log has every event; where they are too many, one is queued, and stands for all."""
    room = place.room()
    for user in place.users(before):
        run_call(connection, add_members(room, [user]))
    newcomers = place.users(joining, "newcomer")

    addition = run_call(connection, add_members(room, newcomers))

    ledger = read_exact_ledger(connection, room)
    assert addition.added == newcomers
    assert [event["body"]["user"] for event in ledger.log[before:]] == newcomers
    assert len([row for row in ledger.queued if row.version > before]) == queued
    assert len(ledger.audience(before + joining)) == before + joining
    first = ledger.queued[-1].event["body"].get("first_version")
    assert first == (before + 1 if queued == 1 else None)


def test_a_bulk_join_that_is_repeated_adds_nobody(place: Place, connection: Connection) -> None:
    """Repeating it changes nothing; with one more user it is a small join again."""
    room = place.room()
    users = place.users(150)
    run_call(connection, add_members(room, users))

    repeated = run_call(connection, add_members(room, users))
    extended = run_call(connection, add_members(room, [*users, place.user("late")]))

    assert (repeated.added, repeated.already) == ([], users)
    assert (extended.added, extended.already) == ([place.user("late")], users)
    assert [row.version for row in read_exact_ledger(connection, room).queued] == [150, 151]


@pytest.mark.parametrize("joining", [1, 2])
def test_a_user_joins_a_room_of_more_than_20000(
    place: Place, connection: Connection, joining: int
) -> None:
    """One event is always queued; of two, the last one."""
    room = place.room("alice")
    connection.execute("UPDATE chat_room SET member_count = 25000 WHERE id = %s", [room])

    addition = run_call(connection, add_members(room, place.users(joining, "late")))

    assert addition.added == place.users(joining, "late")
    versions = connection.execute(
        "SELECT payload #>> '{data,body,room,version}' AS version,"
        " payload #>> '{data,body,first_version}' AS first FROM chat_outbox"
        " WHERE payload #>> '{data,body,room,id}' = %s ORDER BY id",
        [str(room)],
    ).fetchall()
    assert [row["version"] for row in versions] == ["1", str(1 + joining)]
    assert versions[-1]["first"] == (None if joining == 1 else "2")


@pytest.mark.slow
def test_an_event_for_more_than_1000_members_is_queued_in_parts(
    place: Place, connection: Connection
) -> None:
    """No outbox row names more than 1,000 channels, and each member is in one of them."""
    room = place.room("alice")
    run_call(connection, add_members(room, place.users(1000)))
    run_call(connection, add_members(room, place.users(1000, "other")))

    run_call(connection, send_messages([place.message(room, "alice", "k")]))
    run_call(connection, remove_member(room, place.user("alice")))

    ledger = read_exact_ledger(connection, room)
    sizes = [len(row.channels) for row in ledger.queued]
    assert sizes == [1, 1000, 1, 1000, 1000, 1, 1000, 1000, 1, 1000, 1000, 1]
    assert [row.key.rpartition(":")[2] for row in ledger.queued[-3:]] == ["0", "1", "2"]


@pytest.mark.slow
def test_large_rooms_have_partitions_of_their_own(place: Place, connection: Connection) -> None:
    """From the event that gives a room its 1,001st member, its events delay no smaller room's."""
    room = place.room()
    run_call(connection, add_members(room, place.users(999)))
    joining = [place.user("the 1,000th"), place.user("the 1,001st")]

    for user in joining:
        run_call(connection, add_members(room, [user]))
    run_call(connection, send_messages([place.message(room, "user0", "k")]))
    run_call(connection, remove_member(room, joining[0]))

    partitions = {row.version: row.partition for row in read_exact_ledger(connection, room).queued}
    own = 6 + room % 2
    assert [partitions[version] for version in range(1000, 1004)] == [room % 6, own, own, room % 6]
