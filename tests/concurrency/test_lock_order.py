"""Many sessions in the same rooms: none waits in a circle, and the rooms stay exact."""

import random
from collections.abc import Callable

import pytest

from chat.actions.messages import NewMessage, send_messages
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.support.ledger import read_exact_ledger
from tests.support.memberships import add_members, remove_member
from tests.support.outcomes import name_outcome
from tests.support.sessions import Session, run_at_once


def test_batches_in_opposite_orders_do_not_deadlock(
    place: Place, open_session: Callable[[], Session], connection: Connection
) -> None:
    """Batches that name the same rooms in opposite orders all get through."""
    rooms = [place.room("alice") for _ in range(2)]
    rounds, sessions = 60, [open_session() for _ in range(4)]

    def send_all(n: int) -> None:
        order = rooms if n % 2 else rooms[::-1]
        for k in range(rounds):
            batch = [place.message(room, "alice", f"{n}-{k}") for room in order]
            sent = sessions[n].run(send_messages(batch))
            assert [name_outcome(one) for one in sent] == ["sent"] * 2

    run_at_once(send_all, range(len(sessions)))

    for room in rooms:
        assert len(read_exact_ledger(connection, room).seqs) == rounds * len(sessions)


@pytest.mark.parametrize("seed", range(3))
def test_any_mixture_of_changes_leaves_the_rooms_exact(
    place: Place, open_session: Callable[[], Session], connection: Connection, seed: int
) -> None:
    """Sends, joins and leaves of eight sessions, a third of them undone, keep every rule."""
    rooms = [place.room("u0", "u1") for _ in range(2)]
    sessions = [open_session() for _ in range(8)]

    def change_something(chance: random.Random, session: Session) -> None:
        room, user = chance.choice(rooms), f"u{chance.randrange(4)}"
        choice = chance.random()
        if choice < 0.6:
            session.run(send_messages(_some_batch(place, chance, rooms)))
        elif choice < 0.8:
            session.run(add_members(room, [place.user(user), place.user("u0")]))
        else:
            session.run(remove_member(room, place.user(user)))

    def work(n: int) -> None:
        session = sessions[n]
        chance = random.Random(100 * seed + n)
        for _ in range(25):
            if chance.random() < 1 / 3:
                session.begin()
                change_something(chance, session)
                session.rollback()
            else:
                change_something(chance, session)

    run_at_once(work, range(len(sessions)))

    for room in rooms:
        assert read_exact_ledger(connection, room).room["version"] > 2


def _some_batch(place: Place, chance: random.Random, rooms: list[int]) -> list[NewMessage]:
    """Return messages in any order of rooms, with keys and contents that often collide."""
    return [
        place.message(
            chance.choice(rooms),
            f"u{chance.randrange(4)}",
            f"k{chance.randrange(60)}",
            chance.choice(["this", "that"]),
        )
        for _ in range(chance.randint(1, 4))
    ]
