"""Sixteen senders in one room, over HTTP."""

import time
from dataclasses import dataclass

import pytest

from tests.conftest import Connection
from tests.support.actors import Actor, Cast
from tests.support.ledger import read_exact_ledger
from tests.support.sessions import run_at_once

SENDERS = 16
SENDS_EACH = 25


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was answered, and when it was asked and answered."""

    asked: float
    answered: float
    id: int
    seq: int


@pytest.mark.slow
def test_a_hot_room_is_in_order(cast: Cast, host: Actor, connection: Connection) -> None:
    """All sends are stored and queued in one order, which never contradicts real time."""
    senders = [cast.user(f"sender{n}").listen() for n in range(SENDERS)]
    room = host.create_room(*senders)

    def send_all(sender: Actor) -> list[Sent]:
        return [_send(sender, room, f"{sender.user_id} {n}") for n in range(SENDS_EACH)]

    results = run_at_once(send_all, senders)

    sent = sorted((item for result in results for item in result), key=lambda item: item.seq)
    assert [item.seq for item in sent] == list(range(1, SENDERS * SENDS_EACH + 1))
    ledger = read_exact_ledger(connection, room)
    assert [message["id"] for message in ledger.messages] == [item.id for item in sent]
    latest_question = 0.0
    for item in sent:
        # Whoever asked after this answer must have a greater seq, so none before it may have.
        assert item.answered > latest_question, f"seq {item.seq} was answered too early"
        latest_question = max(latest_question, item.asked)


def _send(sender: Actor, room_id: int, content: str) -> Sent:
    asked = time.monotonic()
    answer = sender.send(room_id, content)
    answered = time.monotonic()
    assert answer.status_code == 201, answer.text
    return Sent(asked, answered, answer.json()["id"], answer.json()["seq"])
