"""The walk of docs/moderation.md, run as a reader would paste it."""

import re
from collections.abc import Callable

import pytest

from tests.docs.test_readme import adapt, parse_answers, run_in_bash
from tests.support.processes import PROJECT, serve_api

PAGE = (PROJECT / "docs/moderation.md").read_text(encoding="utf-8")
WALK = re.findall(r"<!-- walk -->\n```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.slow
def test_every_line_of_the_walk_works(clone_database: Callable[[], str]) -> None:
    """A report is made, read and decided; a member is muted; a word is masked; all is kept."""
    database_url = clone_database()
    environment = f"export DATABASE_URL='{database_url}' DEBUG=1\n"
    with serve_api(database_url) as url:
        output = run_in_bash(environment + adapt("\n".join(WALK), url))

    queue, report, decision, member, room, word, message, audit = parse_answers(output)
    assert [one["id"] for one in queue["results"]] == [report["id"]]
    assert report["message"]["content"] == "You are all idiots."
    assert (decision["decision"], decision["report_id"]) == ("delete", report["id"])
    assert (member["user"], member["muted_until"]) == ("mallory", "2099-01-31T09:30:00.000000Z")
    assert room["slow_mode_seconds"] == 10
    assert word == {"word": "idiots", "action": "mask"}
    assert message["content"] == "We are no ******."
    actions = {entry["action"] for entry in audit["results"]}
    assert {"report_decided", "member_muted"} <= actions
    assert {entry["actor"] for entry in audit["results"]} == {"host"}
