"""The queue of reports, the word list and the audit in the admin."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from chat.actions.caller import Caller
from chat.actions.reports import NewDecision, decide_report, report_message, report_user
from chat.sql.database import run_call
from tests.admin.staff import Stage, read_errors, read_messages

LogIn = Callable[..., Client]
LIST = "/admin/chat/report/"
BORIS = Caller("staff", "boris")


def report(stage: Stage, text: str = "a rude word", reason: str = "It is rude.") -> int:
    """Return a report of a message that Bob wrote, by Alice."""
    room = stage.make_room(stage.alice, stage.bob)
    stage.send(room, stage.alice, "before")
    message = stage.send(room, stage.bob, text)
    stage.send(room, stage.alice, "after")
    call = report_message(room, message, stage.alice, reason, limit="")
    return run_call(stage.connection, call).report.id


def open_page(staff: Client, report_id: int) -> str:
    """Return the page of a report."""
    answer = staff.get(f"{LIST}{report_id}/change/")
    assert answer.status_code == 200
    return answer.text


def send(staff: Client, report_id: int, decision: str, **more: Any) -> Any:
    """Send the form of a report's page as a browser does, with what the page expects."""
    (tag,) = re.findall(r'<input[^>]*name="expected"[^>]*>', open_page(staff, report_id))
    found = re.search(r'value="(\d*)"', tag)
    form = {
        "decision": decision,
        "duration": "day",
        "note": "",
        "expected": found[1] if found else "",
    }
    return staff.post(f"{LIST}{report_id}/change/", form | more, follow=True)


def list_decisions(stage: Stage, report_id: int) -> list[tuple[str, str]]:
    """Return what was decided, in order."""
    rows = stage.connection.execute(
        "SELECT decision, note FROM chat_decision WHERE report_id = %s ORDER BY id", [report_id]
    )
    return [(row["decision"], row["note"]) for row in rows]


def test_a_report_is_shown_with_its_context(staff: Client, stage: Stage) -> None:
    """Who reported whom and why, the message between others, and nothing hidden in it."""
    report_id = report(stage, "rude \u202etxt", "Look:\u200b here")

    page = open_page(staff, report_id)

    for text in (stage.alice, stage.bob, "before", "after", "rude ‹U+202E›txt", "‹U+200B›"):
        assert text in page
    assert "\u202e" not in page
    assert "Other reports of this user: 0" in page


def test_html_of_users_is_text(staff: Client, stage: Stage) -> None:
    """A message or a reason is never a part of the page."""
    page = open_page(staff, report(stage, "<script>alert(1)</script>", "<img src=x>"))

    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "<img src=x" not in page


def test_the_queue_has_the_oldest_first_and_leads_on(staff: Client, stage: Stage) -> None:
    """A decision leads to the next open report; what was decided is in the other list."""
    first, second = report(stage), report(stage, "another one")

    answer = send(staff, first, "keep", note="Rude, and allowed.")

    assert answer.redirect_chain[-1][0].startswith(LIST)
    assert read_messages(answer) == [f"Report {first} is decided: keep."]
    assert list_decisions(stage, first) == [("keep", "Rude, and allowed.")]
    assert f"{LIST}{second}/change/" in {address for address, _ in answer.redirect_chain}
    terms = {"user": stage.bob}
    queue = staff.get(LIST, terms).text
    decided = staff.get(LIST, terms | {"state": "decided"}).text
    assert f"{LIST}{second}/change/" in queue
    assert f"{LIST}{first}/change/" not in queue
    assert f"{LIST}{first}/change/" in decided
    everything = staff.get(LIST, terms | {"state": "all"}).text
    assert "2 reports" in everything


def test_a_message_is_deleted(staff: Client, stage: Stage) -> None:
    """Its text is gone, and the members are sent an event."""
    report_id = report(stage)
    (row,) = stage.connection.execute(
        "SELECT room_id, message_id FROM chat_report WHERE id = %s", [report_id]
    )
    version = stage.read_version(row["room_id"])

    send(staff, report_id, "delete")

    (message,) = stage.connection.execute(
        "SELECT content FROM chat_message WHERE id = %s", [row["message_id"]]
    )
    assert message["content"] == ""
    assert stage.read_version(row["room_id"]) == version + 1
    page = open_page(staff, report_id)
    assert "a rude word" not in page
    assert 'value="delete"' not in page


@pytest.mark.parametrize("duration, days", [("day", 1), ("week", 7), ("ever", 365)])
def test_a_user_is_muted(staff: Client, stage: Stage, duration: str, days: int) -> None:
    """For as long as was chosen."""
    report_id = report(stage)

    send(staff, report_id, "mute", duration=duration)

    (member,) = stage.connection.execute(
        "SELECT extract(day FROM muted_until - clock_timestamp()) AS days FROM chat_member"
        " WHERE user_id = %s",
        [stage.bob],
    )
    assert member["days"] > days - 2
    assert (member["days"] > 1000) == (duration == "ever")


def test_who_was_slower_is_shown_what_was_decided(staff: Client, stage: Stage) -> None:
    """Nothing of the form is carried out; sent once more, it replaces the decision."""
    report_id = report(stage)
    form = {"decision": "delete", "duration": "day", "note": "Mine.", "expected": ""}
    run_call(stage.connection, decide_report(BORIS, report_id, NewDecision("keep", "Allowed.")))

    answer = staff.post(f"{LIST}{report_id}/change/", form)

    assert answer.status_code == 200
    (message,) = read_messages(answer)
    assert message.startswith("boris was faster and decided: keep.")
    assert list_decisions(stage, report_id) == [("keep", "Allowed.")]
    for text in ("a rude word", "Allowed.", "Mine.", "Replace the decision"):
        assert text in answer.text
    found = re.search(r'name="expected" value="(\d+)"', answer.text)
    assert found
    staff.post(f"{LIST}{report_id}/change/", form | {"expected": found[1]})
    assert list_decisions(stage, report_id) == [("keep", "Allowed."), ("delete", "Mine.")]


def test_a_form_that_is_sent_twice_is_one_decision(staff: Client, stage: Stage) -> None:
    """Two clicks on the button do not end in a conflict with oneself."""
    report_id = report(stage)
    form = {"decision": "keep", "duration": "day", "note": "", "expected": ""}

    for _ in range(2):
        assert staff.post(f"{LIST}{report_id}/change/", form).status_code == 302

    assert list_decisions(stage, report_id) == [("keep", "")]


def test_what_cannot_be_done_is_said(staff: Client, stage: Stage) -> None:
    """A user who has left cannot be muted; the form keeps what was typed."""
    report_id = report(stage)
    stage.connection.execute("DELETE FROM chat_member WHERE user_id = %s", [stage.bob])

    answer = send(staff, report_id, "mute", note="A day.")

    assert "not a member of the room any more" in read_errors(answer)
    assert "A day." in answer.text
    assert list_decisions(stage, report_id) == []


def test_a_report_of_a_user_offers_what_can_be_done(staff: Client, stage: Stage) -> None:
    """Without a message nothing is deleted, without a room nobody is muted."""
    call = report_user(stage.bob, None, stage.alice, "Spam.", limit="")
    report_id = run_call(stage.connection, call).report.id

    page = open_page(staff, report_id)

    assert "The report names no message." in page
    assert re.findall(r'name="decision" value="(\w+)"', page) == ["keep"]
    answer = send(staff, report_id, "delete")
    assert "delete" in read_errors(answer)


@pytest.mark.parametrize(
    "permissions, status",
    [((), 403), (("view_report",), 403), (("change_report",), 302)],
)
def test_only_some_decide(
    log_in: LogIn, stage: Stage, permissions: tuple[str, ...], status: int
) -> None:
    """Who may only view sees the page without a form, and a form sent by hand is refused."""
    report_id = report(stage)
    somebody = log_in(*permissions)
    form = {"decision": "keep", "duration": "day", "note": "", "expected": ""}

    page = somebody.get(f"{LIST}{report_id}/change/")
    answer = somebody.post(f"{LIST}{report_id}/change/", form)

    assert page.status_code == (200 if permissions else 403)
    assert ('name="decision"' in page.text) == (status == 302)
    assert answer.status_code == status
    assert len(list_decisions(stage, report_id)) == (status == 302)


@pytest.mark.parametrize("page", ["add/", "{id}/delete/"])
def test_reports_are_neither_added_nor_deleted(staff: Client, stage: Stage, page: str) -> None:
    """A superuser does not either."""
    address = LIST + page.format(id=report(stage))

    assert staff.post(address, {"post": "yes"}).status_code == 403


def test_an_unknown_report_leads_back(staff: Client) -> None:
    """There is a message."""
    answer = staff.get(f"{LIST}999999999/change/", follow=True)

    assert "doesn’t exist" in read_messages(answer)[0]


def test_words_are_put_changed_and_deleted(staff: Client, stage: Stage) -> None:
    """Each change goes through the functions, and is in the audit with the person's name."""
    word = f"w{stage.alice[-8:]}"
    assert staff.post("/admin/chat/word/add/", {"word": word, "action": "mask"}).status_code == 302
    (row,) = stage.connection.execute("SELECT id, action FROM chat_word WHERE word = %s", [word])
    page = f"/admin/chat/word/{row['id']}/"

    assert staff.post(f"{page}change/", {"action": "refuse"}).status_code == 302
    (changed,) = stage.connection.execute("SELECT action FROM chat_word WHERE word = %s", [word])
    assert staff.post(f"{page}delete/", {"post": "yes"}).status_code == 302

    assert (row["action"], changed["action"]) == ("mask", "refuse")
    kept = stage.connection.execute(
        "SELECT action, actor_kind, address FROM chat_audit WHERE details ->> 'word' = %s"
        " ORDER BY id",
        [word],
    ).fetchall()
    assert [row["action"] for row in kept] == ["word_put", "word_put", "word_deleted"]
    assert {(row["actor_kind"], row["address"]) for row in kept} == {("staff", "127.0.0.1")}


@pytest.mark.parametrize("word", ["two words", "c++", "", "x" * 65])
def test_what_is_no_word_is_named(staff: Client, word: str) -> None:
    """The form says what a word is."""
    answer = staff.post("/admin/chat/word/add/", {"word": word, "action": "mask"})

    assert answer.status_code == 200
    assert read_errors(answer)


@pytest.mark.parametrize("action", ["add", "change", "delete"])
def test_words_have_permissions(log_in: LogIn, stage: Stage, action: str) -> None:
    """Each permission opens one kind of change."""
    somebody = log_in("view_word", f"{action}_word")
    word = f"w{action}" + stage.bob[-8:].translate(dict.fromkeys(map(ord, "01")))
    stage.connection.execute(
        "INSERT INTO chat_word (word, skeleton, action) VALUES (%s, %s, 'mask')",
        [word, word],
    )
    (row,) = stage.connection.execute("SELECT id FROM chat_word WHERE word = %s", [word])
    page = f"/admin/chat/word/{row['id']}/"

    done = {
        "add": somebody.post("/admin/chat/word/add/", {"word": "heck", "action": "mask"}),
        "change": somebody.post(f"{page}change/", {"action": "refuse"}),
        "delete": somebody.post(f"{page}delete/", {"post": "yes"}),
    }

    assert {name for name, answer in done.items() if answer.status_code == 302} == {action}


def test_the_audit_is_only_read(staff: Client, stage: Stage) -> None:
    """No page of it changes or deletes anything, for a superuser either; filters narrow it."""
    report_id = report(stage)
    send(staff, report_id, "keep", note="Secret \u202e note.")
    (row,) = stage.connection.execute(
        "SELECT id, actor FROM chat_audit WHERE user_id = %s", [stage.bob]
    )
    page = f"/admin/chat/auditentry/{row['id']}/"

    assert staff.get("/admin/chat/auditentry/add/").status_code == 403
    assert staff.post(f"{page}change/", {"actor": "nobody"}).status_code == 403
    assert staff.post(f"{page}delete/", {"post": "yes"}).status_code == 403
    assert "delete_selected" not in staff.get("/admin/chat/auditentry/").text
    shown = staff.get(f"{page}change/").text
    assert "Secret ‹U+202E› note." in shown
    for terms in ({"user": stage.bob}, {"actor": row["actor"]}):
        assert f"{page}change/" in staff.get("/admin/chat/auditentry/", terms).text
    nothing = staff.get("/admin/chat/auditentry/", {"user": stage.bob, "action": "other"}).text
    assert f"{page}change/" not in nothing
