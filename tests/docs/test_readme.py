"""The README's commands, run as a reader would paste them."""

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.actors import Cast
from tests.support.processes import PROJECT, run_manage, serve_api

README = (PROJECT / "README.md").read_text(encoding="utf-8")
WALK = re.findall(r"<!-- walk -->\n```sh\n(.*?)```", README, re.DOTALL)


def run_in_bash(script: str) -> str:
    """Run lines in a bash that replaces `!` inside double quotes, as an interactive shell does."""
    done = subprocess.run(
        ["bash", "--norc"],
        cwd=PROJECT,
        input=f"set -o history\nset -H\nset -e\n{script}",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def adapt(script: str, url: str) -> str:
    """Return a page's commands for this service and this Python; a refused request ends them."""
    return (
        script.replace("http://localhost:9000", url)
        .replace(".venv/bin/python", sys.executable)
        .replace("curl ", "curl --silent --show-error --fail-with-body ")
    )


def parse_answers(output: str) -> list[dict[str, Any]]:
    """Return the JSON documents that one curl after another printed."""
    decoder = json.JSONDecoder()
    answers = []
    position = 0
    while position < len(output.rstrip()):
        answer, position = decoder.raw_decode(output, position)
        answers.append(answer)
        position += len(output[position:]) - len(output[position:].lstrip())
    return answers


@pytest.mark.slow
def test_every_line_of_the_walk_works(clone_database: Callable[[], str]) -> None:
    """The walk, pasted from top to bottom into a shell, works in the room that it creates.

    Another room is there before, as after `make up`, so the new one's id cannot be guessed.
    """
    with serve_api(clone_database()) as url, Cast(url) as cast:
        earlier = cast.service().create_room("u123")
        answers = parse_answers(run_in_bash(adapt("\n".join(WALK), url)))

    rooms, message, connection, subscription, added = answers[:5]
    members, messages, events, left, joined = answers[5:]
    created, other = rooms["results"]
    assert (created["name"], other["id"]) == ("general", earlier)
    assert (message["content"], message["room_id"]) == ("hello", created["id"])
    assert {answer["room"]["id"] for answer in (left, joined)} == {created["id"]}
    assert connection["channel"] == subscription["channel"] == "personal:u123"
    assert added == {"added": ["u789"], "already": ["u123"]}
    assert len(members["results"]) == 3
    assert messages["results"] == [message]
    assert len(events["results"]) == 4
    assert (left["joined"], joined["joined"]) == (False, True)


@pytest.mark.slow
def test_the_quick_start_sends_a_message(clone_database: Callable[[], str]) -> None:
    """The third step of the quick start sends a message in a room of the demo."""
    page = (PROJECT / "docs" / "quickstart.md").read_text(encoding="utf-8")
    (step,) = re.findall(r"\*\*3\..*?\n\n((?: {4}.*\n)+)", page)
    database_url = clone_database()
    run_manage("demo_data", DATABASE_URL=database_url)
    with serve_api(database_url) as url:
        token = f"export DATABASE_URL='{database_url}' DEBUG=1\n"
        (sent,) = parse_answers(run_in_bash(token + adapt(textwrap.dedent(step), url)))

    assert (sent["content"], sent["user"]) == ("hello", "u123")


def test_the_links_lead_somewhere() -> None:
    """Each link to a file, in the README and the docs, names a file that exists."""
    pages = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *PROJECT.glob("docs/**/*.md")]

    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]

    assert broken == []


def test_decisions_are_short_and_numbered() -> None:
    """Decisions are numbered without a gap, and each is at most 60 lines long."""
    records = sorted(Path(PROJECT / "docs/decisions").glob("*.md"))

    numbers = [int(record.name[:4]) for record in records]
    lengths = {record.name: len(record.read_text().splitlines()) for record in records}

    assert numbers == list(range(1, len(records) + 1))
    assert max(lengths.values()) <= 60, lengths
