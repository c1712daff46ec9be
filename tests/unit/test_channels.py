"""Channel names: Python and SQL write the same ones, and no two users share one."""

import re
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chat.realtime.channels import describe_invalid_user_id, personal_channel

# What PostgreSQL can hold: neither NUL nor lone surrogates.
WRITABLE = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
USER_IDS = st.text(WRITABLE, min_size=1, max_size=40)
# Around the limits of length, of control characters and of the channel's bytes.
CANDIDATES = st.one_of(
    USER_IDS,
    st.text(st.characters(min_codepoint=1, max_codepoint=0xA1), max_size=4),
    st.builds(str.__mul__, st.sampled_from("x~ жक🙂"), st.integers(0, 260)),
    st.builds(str.__add__, USER_IDS, st.builds("x".__mul__, st.integers(80, 130))),
)


@pytest.fixture(scope="module")
def session(database_url: str) -> Iterator[psycopg.Connection]:
    """Open one session for every example."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@given(user_id=USER_IDS)
@example(user_id="auth0|abc")
@example(user_id="~#,$*&/% ")
@example(user_id="\x7f\x80")
def test_sql_writes_the_same_name(session: psycopg.Connection, user_id: str) -> None:
    """The channel in a token is the channel in the member row, for any id."""
    row = session.execute("SELECT chat.personal_channel(%s)", [user_id]).fetchone()

    assert row == (personal_channel(user_id),)


def test_sql_writes_the_same_name_for_every_common_character(session: psycopg.Connection) -> None:
    """Each character up to U+2FFF, alone, has one name in both languages."""
    characters = [chr(code) for code in range(1, 0x3000)]

    rows = session.execute(
        "SELECT chat.personal_channel(c) FROM unnest(%s::text[]) WITH ORDINALITY AS t (c, n)"
        " ORDER BY n",
        [characters],
    ).fetchall()

    assert [channel for (channel,) in rows] == list(map(personal_channel, characters))


@given(user_id=USER_IDS)
def test_a_name_gives_its_user_back(user_id: str) -> None:
    """The encoding can be undone, so no two users have one channel."""
    encoded = personal_channel(user_id).removeprefix("personal:").encode()

    decoded = re.sub(rb"~([0-9a-f]{2})", lambda found: bytes.fromhex(found[1].decode()), encoded)

    assert decoded.decode() == user_id


@given(user_id=USER_IDS)
def test_a_name_is_safe_for_centrifugo(user_id: str) -> None:
    """A name is visible ASCII without a character that Centrifugo gives a meaning."""
    assert re.fullmatch(r"personal:[!-~]+", personal_channel(user_id))
    assert not set("#,$*&/%").intersection(personal_channel(user_id))


@pytest.mark.parametrize(
    "user_id, channel",
    [
        ("u123", "personal:u123"),
        ("auth0|abc", "personal:auth0|abc"),
        ("urn:x:1", "personal:urn:x:1"),
        ("a+b@c", "personal:a+b@c"),
        ("a b", "personal:a~20b"),
        ("a~b", "personal:a~7eb"),
        ("a/b", "personal:a~2fb"),
        ("100%", "personal:100~25"),
        ("~#,$*&/%", "personal:~7e~23~2c~24~2a~26~2f~25"),
        ("ж", "personal:~d0~b6"),
        ("🙂", "personal:~f0~9f~99~82"),
    ],
)
def test_names_are_as_documented(user_id: str, channel: str) -> None:
    """The scheme is a contract with clients and never changes."""
    assert personal_channel(user_id) == channel


@given(text=CANDIDATES)
@example(text="")
@example(text="x" * 128)
@example(text="x" * 129)
@example(text="ж" * 38 + "xxx")
@example(text="ж" * 38 + "xxxx")
@example(text="\x9f")
@example(text="\xa0")
@example(text="\xad")
def test_both_languages_agree_on_who_can_be_a_user(session: psycopg.Connection, text: str) -> None:
    """An id that one of the two accepts is never refused by the other."""
    row = session.execute("SELECT chat.is_user_id(%s)", [text]).fetchone()

    assert row == (describe_invalid_user_id(text) is None,)


def test_both_languages_agree_on_every_common_character(session: psycopg.Connection) -> None:
    """Each character up to U+2FFF, alone, is an id for both or for neither."""
    characters = [chr(code) for code in range(1, 0x3000)]

    rows = session.execute(
        "SELECT chat.is_user_id(c) FROM unnest(%s::text[]) WITH ORDINALITY AS t (c, n) ORDER BY n",
        [characters],
    ).fetchall()

    assert [accepted for (accepted,) in rows] == [
        describe_invalid_user_id(character) is None for character in characters
    ]


def test_nobody_is_no_user(session: psycopg.Connection) -> None:
    """A null is not unknown but no user id."""
    assert session.execute("SELECT chat.is_user_id(NULL)").fetchone() == (False,)


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800", "a\udfff"])
def test_what_postgresql_cannot_hold_is_no_id(text: str) -> None:
    """NUL and lone surrogates are refused before they come near the database."""
    assert describe_invalid_user_id(text) is not None
