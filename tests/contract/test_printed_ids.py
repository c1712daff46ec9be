"""Commands print what users wrote as text: no character of it commands the terminal."""

import json

from tests.support.actors import Actor, Cast, make_token
from tests.support.processes import call_manage, run_manage

# Turned around, and with something of zero width.
USER = "\u202ebob\u200b"
SHOWN = "‹U+202E›bob‹U+200B›"


def test_a_user_id_is_written_out(database_url: str) -> None:
    """The answer of a revocation names the user so that the reader sees who it is."""
    said = run_manage("revoke_tokens", USER, DATABASE_URL=database_url)

    assert f"Tokens of {SHOWN} issued before" in said


def test_an_explanation_is_written_out(database_url: str, host: Actor, cast: Cast) -> None:
    """So do its sentences; as JSON it is ASCII."""
    user_id = f"{USER} who keeps every token"
    user = cast.with_token(make_token(user_id), user_id)
    room = host.create_room(user)
    message = user.send(room, "hello").json()["id"]
    ask = ("explain", "--message", str(message), "--user", user_id)

    said, document = (
        call_manage(*ask, *more, DATABASE_URL=database_url).stdout for more in ([], ["--json"])
    )

    assert SHOWN in said
    assert not set(USER) & set("\u202e\u200b") & set(said)
    assert document.isascii()
    assert user_id in json.dumps(json.loads(document), ensure_ascii=False)
