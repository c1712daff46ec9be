"""GET /api/search/"""

import secrets
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.conftest import Connection
from tests.support.actors import Actor, Cast, describe_my
from tests.support.processes import serve_api


def search(actor: Actor, text: str, **parameters: Any) -> list[str]:
    """Return the names that a search finds."""
    answer = actor.get("/api/search/", q=text, **parameters)
    assert answer.status_code == 200, answer.text
    return [room["name"] for room in answer.json()["results"]]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("General chat", "NERAL C"),
        ("Кофе и Чай", "кОФЕ"),
        ("STRASSE", "straße"),
        ("ΟΔΟΣ", "οδος"),
        ("日本語の部屋", "本語"),
        ("émile", "ÉMILE"),
        ("a🙂b", "🙂"),
    ],
)
def test_it_finds_any_part_in_either_case(host: Actor, alice: Actor, name: str, text: str) -> None:
    """A room is found by any part of its name, whatever the script and the case."""
    mark = secrets.token_hex(4)
    host.create_room(name=f"{name}{mark}")

    assert f"{name}{mark}" in search(alice, text, limit=200)


SPELLINGS = [
    *("café", "cafe\u0301"),
    *("한국어 방", "\u1112\u1161\u11ab\u1100\u116e\u11a8\u110b\u1165 \u1107\u1161\u11bc"),
    *("Tiếng Việt", "Tie\u0302\u0301ng Vie\u0323\u0302t"),
    *("ngữ", "ngu\u031b\u0303"),
    *("Й", "и\u0306"),
    *("ガラス", "カ\u3099ラス"),
    *("Ångström", "A\u030angstro\u0308m"),
]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *zip(SPELLINGS[::2], SPELLINGS[1::2], strict=True),
        # The marks of one vowel in the other order, as some keyboards write them.
        ("Tiếng", "tie\u0301\u0302ng"),
        ("phở bò", "pho\u0309\u031b bo\u0300"),
        # The Turkish i, by the rules of each language.
        ("İstanbul", "istanbul"),
        ("İstanbul", "ISTANBUL"),
        ("İstanbul", "i\u0307stanbul"),
        ("Iğdır", "ığdır"),
        ("Iğdır", "iğdir"),
        ("IĞDIR", "ığdır"),
        ("Diyarbakır", "DİYARBAKIR"),
        # Compatible forms.
        ("ＡＢＣ　ｒｏｏｍ", "abc room"),
        ("ﬁnance", "FINANCE"),
        ("ｶﾞﾗｽ", "ガラス"),
    ],
)
def test_all_spellings_of_a_name_meet(host: Actor, alice: Actor, name: str, text: str) -> None:
    """A name is found by each of its spellings, and the other way round."""
    mark = secrets.token_hex(4)
    host.create_room(name=f"{mark}{name}")
    host.create_room(name=f"{mark}{text}")
    both = {f"{mark}{name}", f"{mark}{text}"}

    assert set(search(alice, f"{mark}{name}")) == both
    assert set(search(alice, f"{mark}{text.upper()}")) == both
    assert set(search(alice, f"{mark.upper()}{text.lower()}")) == both


@pytest.mark.parametrize(("name", "text"), [("café", "cafe"), ("ż", "z"), ("й", "и"), ("ё", "е")])
def test_an_accent_is_a_part_of_its_letter(host: Actor, alice: Actor, name: str, text: str) -> None:
    """Letters that differ are not the same, in any spelling."""
    mark = secrets.token_hex(4)
    host.create_room(name=f"{mark}{name}{mark}")

    assert search(alice, f"{mark}{text}{mark}") == []


def test_the_short_way_through_the_folding_changes_nothing(connection: Connection) -> None:
    """Each letter that is folded by its case alone would be the same by the whole folding.

    An Armenian letter, which is not among those of the short way, makes a text take the long one.
    """
    wrong = connection.execute(r"""
        SELECT letter FROM (
            SELECT chr(n) AS letter FROM generate_series(1, 65535) n
            WHERE n NOT BETWEEN 55296 AND 57343) AS letters
        WHERE chat.search_text(letter) <> left(chat.search_text(letter || chr(1377)), -1)
        """).fetchall()

    assert wrong == []


@pytest.mark.parametrize("special", ["%", "_", "\\", "'", "%%", "\\_"])
def test_wildcards_are_ordinary_characters(host: Actor, alice: Actor, special: str) -> None:
    """A text with `%`, `_` or a backslash finds only names that hold just that."""
    mark = secrets.token_hex(4)
    for name in (f"{mark}{special}z", f"{mark}xyz", f"{mark}z"):
        host.create_room(name=name)

    assert search(alice, f"{mark}{special}z") == [f"{mark}{special}z"]


def test_it_says_who_is_a_member_and_shows_strangers_no_message(
    host: Actor, alice: Actor, charlie: Actor
) -> None:
    """`is_member` is the caller's own, and the last message is for members only."""
    name = secrets.token_hex(8)
    room = host.create_room(alice, name=name)
    message = alice.send(room, "secret").json()

    (mine,) = alice.get("/api/search/", q=name).json()["results"]
    (theirs,) = charlie.get("/api/search/", q=name).json()["results"]

    assert (mine["is_member"], mine["last_message"]) == (True, message)
    assert (theirs["is_member"], theirs["last_message"], theirs["my"]) == (False, None, None)
    assert {**theirs, "is_member": True, "last_message": message, "my": describe_my()} == mine


def test_pages_walk_both_ways(host: Actor, alice: Actor) -> None:
    """Following `next` meets every match once, newest first; `previous` leads back."""
    mark = secrets.token_hex(8)
    names = [f"{mark} & {number}" for number in range(5)]
    for name in names:
        host.create_room(name=name)

    first = alice.get("/api/search/", q=f"{mark} & ", limit=2).json()
    second = alice.http.get(first["next"]).json()
    third = alice.http.get(second["next"]).json()

    walked = [room["name"] for page in (first, second, third) for room in page["results"]]
    assert walked == names[::-1]
    assert (first["previous"], third["next"]) == (None, None)
    assert alice.http.get(third["previous"]).json()["results"] == second["results"]


def test_without_a_text_it_lists_all_rooms(host: Actor, charlie: Actor) -> None:
    """Without `q` every room is listed, newest first."""
    name = secrets.token_hex(8)
    host.create_room(name=name)

    rooms = charlie.get("/api/search/", limit=1).json()["results"]

    assert [room["name"] for room in rooms] == [name]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("q=" + "x" * 256, "q"),
        ("q=a%00b", "q"),
        ("q=a&q=b", "q"),
        ("limit=0", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=W2ZhbHNlLDBd", "cursor"),
    ],
)
def test_it_names_the_parameter_at_fault(alice: Actor, query: str, pointer: str) -> None:
    """A query that cannot be answered is refused and names what is wrong."""
    answer = alice.http.get(f"/api/search/?{query}")

    assert (answer.status_code, answer.json()["pointer"]) == (422, pointer)


def test_a_short_text_is_found_among_any_number_of_rooms(
    clone_database: Callable[[], str],
) -> None:
    """A page that looked at 100,000 rooms in vain has fewer rooms, and says where to go on."""
    url = clone_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("""
            INSERT INTO chat_room (name, bumped_at, created_at, version, last_seq, member_count)
            SELECT CASE WHEN n IN (1, 2, 150050, 200100) THEN 'q?' ELSE 'room' END,
                   now(), now(), 0, 0, 0
            FROM generate_series(1, 200100) n""")
    with serve_api(url) as address, Cast(address) as cast:
        alice = cast.user("alice")
        pages = [alice.get("/api/search/", q="Q?").json()]
        while pages[-1]["next"] is not None:
            pages.append(alice.http.get(pages[-1]["next"]).json())
        back = [pages[-1]]
        while back[-1]["previous"] is not None:
            back.append(alice.http.get(back[-1]["previous"]).json())

    assert read_ids(pages) == [[200100], [150050], [2, 1]]
    # The way back meets the same rooms in the same order; its pages may begin elsewhere.
    assert [room for page in reversed(read_ids(back)) for room in page] == [200100, 150050, 2, 1]


def read_ids(pages: list[dict[str, Any]]) -> list[list[int]]:
    """Return the ids of the rooms of each page."""
    return [[room["id"] for room in page["results"]] for page in pages]
