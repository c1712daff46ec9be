"""What the pages of the admin are made of."""

import os
import re
import subprocess
import sys
from html import unescape
from urllib.parse import quote, urljoin

import pytest
from django.test import Client

from tests.admin.staff import Stage
from tests.support.processes import PROJECT

# A script with a text of its own, a style element, a style attribute, an event handler.
INLINE = re.compile(
    r"<script(?![^>]*(?:\bsrc=|application/json))[^>]*>|<style|<[^>]*\s(?:style|on\w+)=",
    re.IGNORECASE,
)

PAGES = [f"/admin/chat/{model}/" for model in ("room", "message", "member", "event", "outboxrow")]


def list_pages(stage: Stage) -> list[str]:
    """Return an address of each kind, each of a row that is there."""
    room = stage.make_room(stage.alice)
    message = stage.send(room, stage.alice)
    member = stage.find_member(room, stage.alice)
    row = stage.connection.execute(
        "SELECT (SELECT max(id) FROM chat_event) AS e, (SELECT max(id) FROM chat_outbox) AS o"
    ).fetchone()
    assert row is not None
    return [
        "/admin/",
        *PAGES,
        "/admin/chat/room/add/",
        f"/admin/chat/room/{room}/change/",
        f"/admin/chat/room/{room}/history/",
        f"/admin/chat/message/{message}/change/",
        f"/admin/chat/message/{message}/delete/",
        f"/admin/chat/member/{member}/change/",
        f"/admin/chat/member/{member}/delete/",
        f"/admin/chat/event/{row['e']}/change/",
        f"/admin/chat/outboxrow/{row['o']}/change/",
        "/admin/axes/accessattempt/",
        "/admin/auth/user/",
        "/admin/auth/user/add/",
    ]


def test_every_page_opens(staff: Client, stage: Stage) -> None:
    """Each address answers 200."""
    for page in list_pages(stage):
        assert staff.get(page).status_code == 200, page


def test_no_page_needs_an_inline_script_or_style(staff: Client, stage: Stage) -> None:
    """Each page has the policy, and nothing in it that the policy would block."""
    for page in [*list_pages(stage), "/admin/login/"]:
        answer = staff.get(page)
        policy = answer.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert INLINE.findall(answer.text) == [], page


def test_what_users_write_is_shown_as_text(staff: Client, stage: Stage) -> None:
    """Markup in a name, a user id or a message is shown as text everywhere."""
    user_id = f"<script>alert('{stage.alice}')</script>"
    room = stage.make_room(user_id, name='"><script>alert(1)</script>')
    message = stage.send(room, user_id, "<script>alert(2)</script><img src=x onerror=alert(3)>")
    member = stage.find_member(room, user_id)
    pages = [
        *PAGES,
        f"/admin/chat/message/?user={quote(user_id)}",
        "/admin/chat/room/?q=<script>alert(1)",
        f"/admin/chat/room/{room}/change/",
        f"/admin/chat/message/{message}/change/",
        f"/admin/chat/message/{message}/delete/",
        f"/admin/chat/member/{member}/delete/",
    ]

    texts = [staff.get(page).text for page in pages]
    chosen = {"action": "delete_selected", "_selected_action": [message]}
    texts.append(staff.post("/admin/chat/message/", chosen).text)

    for page, text in zip([*pages, "action"], texts, strict=True):
        assert "<script>alert" not in text, page
        assert "<img src=x" not in text, page
    assert "&lt;script&gt;alert(2)" in texts[1]


def test_a_command_that_publishes_no_event_is_named(staff: Client, stage: Stage) -> None:
    """A row of the outbox that ends a user's connections says so in the list."""
    stage.connection.execute("SELECT FROM chat.revoke_tokens(%s)", [stage.alice])
    row = stage.connection.execute("SELECT max(id) AS id FROM chat_outbox").fetchone()
    assert row is not None

    page = staff.get(f"/admin/chat/outboxrow/?id={row['id']}").text

    assert '<td class="field-event">disconnect</td>' in page


@pytest.mark.slow
def test_links_lead_somewhere(staff: Client, stage: Stage) -> None:
    """Each link of the pages about the chat opens."""
    links: set[str] = set()
    for page in list_pages(stage)[:-3]:
        found = re.findall(r'<a [^>]*?href="([^"#][^"]*)"', staff.get(page).text)
        links |= {urljoin(page, unescape(link)) for link in found}

    assert len(links) > 30
    for link in sorted(links):
        assert staff.get(link).status_code in {200, 302}, link


def test_rows_that_are_gone_are_said_to_be(staff: Client) -> None:
    """An address of a row that does not exist leads back with a message, whatever it contains."""
    for key in ("999999999", "9" * 40, "nonsense", "%00"):
        answer = staff.get(f"/admin/chat/message/{key}/change/")
        assert answer.status_code == 302, key


def test_ages_are_words(staff: Client, stage: Stage) -> None:
    """Times are shown as ages; the exact time is there to hover for."""
    room = stage.make_room(stage.alice)

    assert re.search(r"\d+ seconds? ago</time>", staff.get(f"/admin/chat/event/?room={room}").text)


@pytest.mark.slow
def test_a_process_for_the_api_loads_no_admin() -> None:
    """With SERVE=api neither the admin nor what guards it is imported."""
    script = (
        "import sys, app.asgi;"
        "print([m for m in sys.modules if m.split('.')[0] in {'axes', 'csp'}"
        " or m.startswith(('django.contrib.admin', 'chat.admin'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=PROJECT,
        env=os.environ | {"SERVE": "api"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "[]"
