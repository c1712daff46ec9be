"""The lines of docs/rooms.md, run as a reader would paste them."""

import re
from collections.abc import Callable

import pytest

from tests.docs.test_readme import adapt, parse_answers, run_in_bash
from tests.support.processes import PROJECT, serve_api

WALK = re.findall(
    r"<!-- walk -->\n```sh\n(.*?)```",
    (PROJECT / "docs" / "rooms.md").read_text(encoding="utf-8"),
    re.DOTALL,
)


@pytest.mark.slow
def test_every_line_of_the_page_works(clone_database: Callable[[], str]) -> None:
    """Pasted from top to bottom, each request is accepted and does what the page says."""
    database_url = clone_database()
    with serve_api(database_url) as url:
        environment = f"export DATABASE_URL='{database_url}' DEBUG=1\n"
        answers = parse_answers(run_in_bash(environment + adapt("\n".join(WALK), url)))

    public, direct, same, created, preview, read = answers[:6]
    promoted, added, invite, accepted, renamed, archived, restored = answers[6:]
    assert public["kind"] == "public"
    assert (direct["kind"], direct["id"]) == ("direct", same["id"])
    assert (created["created"], created["added"]) == (True, ["anna", "boris"])
    assert preview["changed"] == {"name": {"from": "Team 7", "to": "Team seven"}}
    assert preview["removed"] == ["boris"]
    assert read["my"]["role"] == "owner"
    assert promoted["role"] == "moderator"
    assert added["added"] == ["clara"]
    assert invite["room"]["id"] == accepted["room"]["id"] == read["id"]
    assert renamed["name"] == "The seventh team"
    assert archived["archived_at"]
    assert restored["archived_at"] is None
