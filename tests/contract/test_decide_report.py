"""POST /api/reports/{report_id}/decide/"""

from typing import Any

import pytest

from tests.conftest import Connection
from tests.contract.reporting import Scene, read_queue
from tests.support.actors import Actor

FOREVER = "9999-12-31T00:00:00.000000Z"
LATER = "2099-01-31T09:30:00.000000Z"


@pytest.fixture
def scene(host: Actor, alice: Actor, bob: Actor) -> Scene:
    """Return a scene of this test's own."""
    return Scene(host, alice, bob)


def read_text(scene: Scene) -> str:
    """Return the reported message's text as members see it."""
    (message,) = scene.alice.get(f"/api/rooms/{scene.room}/messages/").json()["results"]
    return str(message["content"])


def test_deleting_takes_the_text_away_for_everyone(scene: Scene) -> None:
    """The text is gone in the room, in the report and for the reporter; the report stays."""
    report = scene.report()

    scene.decide(report, "delete")

    assert read_text(scene) == ""
    content = scene.read(report)
    assert content["message"]["content"] == ""
    assert content["message"]["deleted_at"]
    assert "a rude word" not in scene.host.get(f"/api/reports/{report}/").text


def test_keeping_changes_nothing(scene: Scene) -> None:
    """The message and the room are as they were."""
    report = scene.report()
    before = scene.bob.get(f"/api/rooms/{scene.room}/").content

    scene.decide(report, "keep")

    assert read_text(scene) == "a rude word"
    assert scene.bob.get(f"/api/rooms/{scene.room}/").content == before


def test_a_decision_is_for_all_open_reports_of_the_message(scene: Scene) -> None:
    """Nobody has to decide about the same message once more, and each report has its history."""
    first = scene.report()
    second = scene.bob.post(scene.path, {"reason": "Someone else wrote this as me."}).json()["id"]

    scene.decide(first, "delete", note="An insult.")

    content = scene.read(second)
    assert content["decision"] == "delete"
    assert [decision["note"] for decision in content["decisions"]] == ["An insult."]
    assert second not in read_queue(scene.host)


def test_a_second_decision_names_the_first_one(scene: Scene) -> None:
    """Who does not know of a decision is told of it; who does replaces it, and both are kept."""
    report = scene.report()
    first = scene.decide(report, "keep", note="Rude, and allowed.")
    path = f"/api/reports/{report}/decide/"

    late = scene.host.post(path, {"decision": "delete"})

    assert (late.status_code, late.json()["code"]) == (409, "conflict")
    assert scene.host.user_id in late.json()["detail"]
    assert "“keep”" in late.json()["detail"]
    assert str(first["id"]) in late.json()["detail"]
    assert read_text(scene) == "a rude word"
    second = scene.decide(report, "delete", expected=first["id"])
    assert read_text(scene) == ""
    assert [decision["id"] for decision in scene.read(report)["decisions"]] == [
        second["id"],
        first["id"],
    ]
    assert scene.host.post(path, {"decision": "keep", "expected": first["id"]}).status_code == 409


def test_what_is_expected_has_to_be_there(scene: Scene) -> None:
    """A decision that replaces one is refused where there is none."""
    report = scene.report()

    answer = scene.host.post(
        f"/api/reports/{report}/decide/", {"decision": "keep", "expected": 10**9}
    )

    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert scene.read(report)["decisions"] == []


def test_repeating_a_decision_changes_nothing(scene: Scene, connection: Connection) -> None:
    """A request that is sent again after a lost answer is answered with the decision it made."""
    report = scene.report()
    body = {"decision": "mute", "until": LATER, "note": "A day."}
    path = f"/api/reports/{report}/decide/"

    answers = [scene.host.post(path, body) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json() == answers[1].json()
    assert scene.host.post(path, body | {"note": "Another."}).status_code == 409
    kept = connection.execute(
        "SELECT details ->> 'decision' AS decision, actor, user_id FROM chat_audit"
        " WHERE action = 'report_decided' AND room_id = %s",
        [scene.room],
    ).fetchall()
    assert kept == [{"decision": "mute", "actor": scene.host.user_id, "user_id": scene.bob.user_id}]


@pytest.mark.parametrize("until", [None, LATER])
def test_a_user_is_muted_in_the_room(
    scene: Scene, connection: Connection, until: str | None
) -> None:
    """Until the given time, or for ever."""
    report = scene.report()

    decided = scene.decide(report, "mute", **({"until": until} if until else {}))

    assert decided["until"] == until
    (member,) = connection.execute(
        "SELECT chat.time_text(muted_until) AS until FROM chat_member"
        " WHERE room_id = %s AND user_id = %s",
        [scene.room, scene.bob.user_id],
    )
    assert member["until"] == (until or FOREVER)


def test_what_cannot_be_done_is_refused_and_not_noted(scene: Scene) -> None:
    """Deleting without a message, muting without a room, and muting who has left."""
    path = f"/api/users/{scene.bob.user_id}/report/"
    nowhere = scene.alice.post(path, {"reason": "Spam."}).json()["id"]
    here = scene.report()
    scene.bob.post(f"/api/rooms/{scene.room}/leave/")

    for report, decision in ((nowhere, "delete"), (nowhere, "mute"), (here, "mute")):
        answer = scene.host.post(f"/api/reports/{report}/decide/", {"decision": decision})
        assert (answer.status_code, answer.json()["pointer"]) == (422, "/decision")
        assert scene.read(report)["decisions"] == []


@pytest.mark.parametrize(
    "body, pointer",
    [
        ({"decision": "praise"}, "/decision"),
        ({}, "/decision"),
        ({"decision": "keep", "note": "x" * 501}, "/note"),
        ({"decision": "keep", "until": LATER}, "/until"),
        ({"decision": "mute", "until": "2020-01-31T09:30:00Z"}, "/until"),
        ({"decision": "mute", "until": "9999-12-31T23:59:59-12:00"}, "/until"),
        ({"decision": "mute", "until": "2099-01-31T09:30:00"}, "/until"),
        ({"decision": "keep", "expected": 0}, "/expected"),
    ],
)
def test_a_decision_that_cannot_be_read_is_refused(
    scene: Scene, body: dict[str, Any], pointer: str
) -> None:
    """The error names the field at fault, and nothing is decided."""
    report = scene.report()

    answer = scene.host.post(f"/api/reports/{report}/decide/", body)

    assert (answer.status_code, answer.json()["pointer"]) == (422, pointer)
    assert scene.read(report)["decision"] is None
