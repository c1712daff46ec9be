"""GET, PUT and DELETE /api/words/{word}/, and what the list does to messages"""

import time
from collections.abc import Callable, Iterator
from urllib.parse import quote

import psycopg
import pytest

from chat.actions.caller import Caller
from chat.actions.words import put_word
from chat.conf import WORDS_MOST
from chat.errors import LimitReachedError
from chat.sql.database import run_call
from tests.conftest import Connection
from tests.contract.pages import flatten, follow, read_page
from tests.support.actors import Actor, Cast, make_token
from tests.support.processes import serve_api
from tests.support.sessions import PATIENCE


@pytest.fixture
def word(alice: Actor) -> str:
    """Return a word that no other test knows."""
    return "d" + "".join("abcdefghijklmnop"[int(digit, 16)] for digit in alice.user_id[-8:]) + "n"


@pytest.fixture
def room(host: Actor, alice: Actor) -> int:
    """Return a room of Alice's."""
    return host.create_room(alice)


def put(host: Actor, word: str, action: str) -> None:
    """Put a word on the list."""
    answer = host.put(f"/api/words/{quote(word, safe='')}/", {"action": action})
    assert answer.status_code in {200, 201}, answer.text


def list_contents(actor: Actor, room: int) -> list[str]:
    """Return the texts of a room, the newest first."""
    page = actor.get(f"/api/rooms/{room}/messages/").json()
    return [message["content"] for message in page["results"]]


def test_a_word_is_put_changed_and_deleted(host: Actor, word: str) -> None:
    """Each repeated request changes nothing, and any spelling names the word."""
    path = f"/api/words/{word}/"
    other = f"/api/words/{quote(word.replace('a', 'а'))}/"

    assert host.get(path).status_code == 404
    answers = [host.put(path, {"action": "mask"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert host.get(path).json() == {"word": word, "action": "mask"}
    assert host.put(path, {"action": "report"}).status_code == 200
    assert host.get(path).json() == {"word": word, "action": "report"}
    assert host.get(f"/api/words/{word.upper()}/").json()["word"] == word
    assert host.get(other).json()["word"] == word
    assert [host.delete(f"/api/words/{word.upper()}/").status_code for _ in range(2)] == [204, 204]
    assert host.get(path).status_code == 404


@pytest.mark.parametrize(
    "segment", ["two%20words", "%F0%9F%98%80", "_", "c%2B%2B", "x" * 65, "%ff"]
)
def test_what_is_no_word_is_refused(host: Actor, segment: str) -> None:
    """Such a word would never be found in a text."""
    answers = [
        host.put(f"/api/words/{segment}/", {"action": "mask"}),
        host.get(f"/api/words/{segment}/"),
        host.delete(f"/api/words/{segment}/"),
    ]

    for answer in answers:
        assert (answer.status_code, answer.json()["pointer"]) == (422, "word")


def test_an_unknown_action_is_refused(host: Actor, word: str) -> None:
    """The error names the field."""
    answer = host.put(f"/api/words/{word}/", {"action": "shout"})

    assert (answer.status_code, answer.json()["pointer"]) == (422, "/action")


def test_who_changed_the_list_is_kept(host: Actor, word: str, connection: Connection) -> None:
    """Each change is in the audit, and a request that changes nothing is not."""
    for action in ("mask", "mask", "report"):
        put(host, word, action)
    for _ in range(2):
        host.delete(f"/api/words/{word}/")

    kept = connection.execute(
        "SELECT action, details ->> 'action' AS done, actor_kind FROM chat_audit"
        " WHERE details ->> 'word' = %s ORDER BY id",
        [word],
    ).fetchall()

    assert [(row["action"], row["done"]) for row in kept] == [
        ("word_put", "mask"),
        ("word_put", "report"),
        ("word_deleted", "report"),
    ]
    assert {row["actor_kind"] for row in kept} == {"service"}


def test_a_refused_word_stores_nothing(host: Actor, alice: Actor, room: int, word: str) -> None:
    """In any spelling; the text without it is accepted."""
    put(host, word, "refuse")

    for text in (word, f"oh {word.upper()}!", f"oh\n{word[0]}\u200b{word[1:]}"):
        answer = alice.send(room, text)
        assert (answer.status_code, answer.json()["code"]) == (422, "refused_content")
        assert answer.json()["pointer"] == "/content"
    assert list_contents(alice, room) == []
    assert alice.send(room, f"{word}s are fine").status_code == 201


def test_a_stranger_learns_nothing_from_a_refusal(
    host: Actor, charlie: Actor, room: int, word: str
) -> None:
    """A refused text in a room of others is answered like any text there."""
    put(host, word, "refuse")

    answers = [charlie.send(at, text) for at in (room, 10**12) for text in (word, "hello")]

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1


def test_a_masked_word_is_stored_as_stars(host: Actor, alice: Actor, room: int, word: str) -> None:
    """The answer, the room and the event have the text as it is stored."""
    put(host, word, "mask")

    answer = alice.send(room, f"oh {word}, {word.upper()}!")

    stars = "*" * len(word)
    assert answer.status_code == 201
    assert answer.json()["content"] == f"oh {stars}, {stars}!"
    assert list_contents(alice, room) == [f"oh {stars}, {stars}!"]
    events = alice.get(f"/api/rooms/{room}/events/").json()["results"]
    assert events[-1]["body"]["content"] == f"oh {stars}, {stars}!"


def test_a_masked_message_is_repeated(host: Actor, alice: Actor, room: int, word: str) -> None:
    """With its text as it was sent, and with the same key: the first message."""
    put(host, word, "mask")

    answers = [alice.send(room, f"oh {word}", "key") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json() == answers[1].json()
    other = alice.send(room, "something else", "key")
    assert (other.status_code, other.json()["code"]) == (409, "client_id_conflict")


CHANGES: dict[str, tuple[str | None, str | None]] = {
    "put: mask": (None, "mask"),
    "put: refuse": (None, "refuse"),
    "deleted": ("mask", None),
    "mask to refuse": ("mask", "refuse"),
    "mask to report": ("mask", "report"),
    "report to mask": ("report", "mask"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_list_that_changes_in_between_makes_no_conflict(
    host: Actor, alice: Actor, room: int, word: str, change: str
) -> None:
    """A message that was accepted is answered with, whatever the list says when it is repeated."""
    before, after = CHANGES[change]
    if before:
        put(host, word, before)
    first = alice.send(room, f"oh {word}", "key")
    assert first.status_code == 201
    if after:
        put(host, word, after)
    else:
        host.delete(f"/api/words/{word}/")

    again = alice.send(room, f"oh {word}", "key")

    assert (again.status_code, again.json()) == (200, first.json())
    assert alice.send(room, "something else", "key").status_code == 409


def test_a_reported_word_is_in_the_queue(host: Actor, alice: Actor, room: int, word: str) -> None:
    """The message is stored as it is, and staff has a report of it when it is answered; one."""
    put(host, word, "report")

    message = alice.send(room, f"oh {word}", "key").json()
    alice.send(room, f"oh {word}", "key")

    assert message["content"] == f"oh {word}"
    reports = [
        report
        for report in read_reports(host)
        if (report["room_id"], report["message_id"]) == (room, message["id"])
    ]
    assert [(report["reported_by"], report["user"], report["reason"]) for report in reports] == [
        ("~words", alice.user_id, word)
    ]


def read_reports(host: Actor) -> list[dict[str, object]]:
    """Return the open reports."""
    return flatten(follow(host, "next", read_page(host, "/api/reports/", limit=200)))


def test_the_service_is_held_to_the_list_too(host: Actor, room: int, word: str) -> None:
    """The list is about texts, not about who writes them."""
    host.post(f"/api/rooms/{room}/members/", {"users": [host.user_id]})
    put(host, word, "refuse")

    assert host.send(room, word).json()["code"] == "refused_content"


@pytest.fixture(scope="module")
def elsewhere(database_url: str) -> Iterator[Cast]:
    """Run a second process of the API on the same database."""
    with serve_api(database_url) as url, Cast(url) as people:
        yield people


def wait_until(holds: Callable[[], bool]) -> float:
    """Return how long it took until something held."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < PATIENCE
        time.sleep(0.01)
    return time.monotonic() - began


def test_other_processes_follow_within_two_seconds(
    elsewhere: Cast, host: Actor, alice: Actor, room: int, word: str
) -> None:
    """A word that is put, and one that is deleted, through another process."""
    user = elsewhere.with_token(make_token(alice.user_id), alice.user_id)

    put(host, word, "refuse")
    assert wait_until(lambda: user.send(room, word).status_code == 422) < 2
    host.delete(f"/api/words/{word}/")
    assert wait_until(lambda: user.send(room, word).status_code == 201) < 2


def test_the_list_has_a_bound(
    clone_database: Callable[[], str],
) -> None:
    """A list that is full takes no further word, and changes of its words still work."""
    anna = Caller("staff", "anna")
    with psycopg.connect(clone_database(), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO chat_word (word, skeleton, action)"
            " SELECT 'word' || n, 'word' || n, 'mask' FROM generate_series(1, %s) n",
            [WORDS_MOST - 1],
        )
        assert run_call(connection, put_word(anna, "last", "last", "mask"))
        with pytest.raises(LimitReachedError):
            run_call(connection, put_word(anna, "more", "more", "mask"))
        assert not run_call(connection, put_word(anna, "last", "last", "refuse"))
