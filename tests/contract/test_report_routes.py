"""POST …/report/, GET /api/reports/ and GET /api/reports/{report_id}/"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Connection
from tests.contract.pages import flatten, follow, read_page
from tests.contract.reporting import Scene, read_queue
from tests.support.actors import Actor, Cast
from tests.support.processes import serve_api


@pytest.fixture
def scene(host: Actor, alice: Actor, bob: Actor) -> Scene:
    """Return a scene of this test's own."""
    return Scene(host, alice, bob)


def test_a_message_is_reported_once(scene: Scene) -> None:
    """The first report is kept, with its reason; repeating it answers with it."""
    first = scene.alice.post(scene.path, {"reason": "It is rude."})
    again = scene.alice.post(scene.path, {"reason": "It is very rude."})

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json() | {"id": 0, "created_at": ""} == {
        "id": 0,
        "user": scene.bob.user_id,
        "room_id": scene.room,
        "message_id": scene.message,
        "reason": "It is rude.",
        "created_at": "",
    }


def test_two_users_report_a_message_each(scene: Scene) -> None:
    """A report of one user does not stand for that of another one."""
    other = scene.bob.post(scene.path, {"reason": "Someone else wrote this as me."})

    assert other.status_code == 201
    assert other.json()["id"] != scene.report()


def test_nobody_but_the_service_learns_of_a_report(scene: Scene, connection: Connection) -> None:
    """A report changes nothing in the room, sends no event, and no member can list it."""
    before = scene.bob.get(f"/api/rooms/{scene.room}/").content
    (queued,) = connection.execute("SELECT count(*) AS rows FROM chat_outbox")

    report = scene.report()

    assert scene.bob.get(f"/api/rooms/{scene.room}/").content == before
    assert connection.execute("SELECT count(*) AS rows FROM chat_outbox").fetchall() == [queued]
    for member in (scene.alice, scene.bob):
        for path in ("/api/reports/", f"/api/reports/{report}/"):
            assert member.get(path).json()["code"] == "service_rights_required"


def test_who_cannot_read_a_message_cannot_report_it(
    scene: Scene, charlie: Actor, anonymous: Actor
) -> None:
    """A stranger's answer is the same for a message that exists and for one that does not."""
    unknown = scene.path.replace(f"/{scene.message}/", f"/{scene.message + 10**9}/")
    reason = {"reason": "It is rude."}

    answers = [charlie.post(path, reason) for path in (scene.path, unknown)]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content == scene.alice.post(unknown, reason).content
    assert anonymous.post(scene.path, reason).status_code == 401


def test_a_message_of_another_room_is_not_found(scene: Scene) -> None:
    """The address names the room of the message, not any room of the caller."""
    other = scene.host.create_room(scene.alice)
    path = f"/api/rooms/{other}/messages/{scene.message}/report/"

    assert scene.alice.post(path, {"reason": "It is rude."}).status_code == 404


def test_who_joined_later_reports_only_what_can_be_read(
    scene: Scene, charlie: Actor, connection: Connection
) -> None:
    """Where the history begins with joining, an older message is like none."""
    connection.execute("UPDATE chat_room SET history = 'since_join' WHERE id = %s", [scene.room])
    scene.host.post(f"/api/rooms/{scene.room}/members/", {"users": [charlie.user_id]})
    connection.execute(
        "UPDATE chat_member SET joined_seq = 1 WHERE room_id = %s AND user_id = %s",
        [scene.room, charlie.user_id],
    )
    newer = scene.bob.send(scene.room, "another one").json()["id"]
    reason = {"reason": "It is rude."}

    assert charlie.post(scene.path, reason).status_code == 404
    path = f"/api/rooms/{scene.room}/messages/{newer}/report/"
    assert charlie.post(path, reason).status_code == 201


def test_a_user_is_reported_with_or_without_a_room(scene: Scene, charlie: Actor) -> None:
    """Each room is a report of its own, and a room of others is none."""
    path = f"/api/users/{scene.bob.user_id}/report/"
    anywhere, here = {"reason": "Spam."}, {"reason": "Spam.", "room_id": scene.room}

    answers = [scene.alice.post(path, body) for body in (anywhere, here, anywhere, here)]

    assert [answer.status_code for answer in answers] == [201, 201, 200, 200]
    assert answers[0].json() == answers[2].json()
    assert answers[1].json() == answers[3].json()
    assert answers[0].json()["id"] != answers[1].json()["id"]
    assert [answer.json()["room_id"] for answer in answers[:2]] == [None, scene.room]
    stranger = charlie.post(path, here)
    assert stranger.status_code == 404
    assert stranger.content == charlie.post(path, here | {"room_id": 2**62}).content


@pytest.mark.parametrize(
    "body, pointer",
    [
        ({"reason": ""}, "/reason"),
        ({"reason": "x" * 501}, "/reason"),
        ({"reason": "a\0b"}, "/reason"),
        ({}, "/reason"),
        ({"reason": "rude", "room_id": 0}, "/room_id"),
        ({"reason": "rude", "more": 1}, "/more"),
    ],
)
def test_a_report_that_cannot_be_stored_is_refused(
    scene: Scene, body: dict[str, Any], pointer: str
) -> None:
    """The error names the field at fault."""
    answer = scene.alice.post(f"/api/users/{scene.bob.user_id}/report/", body)

    assert (answer.status_code, answer.json()["pointer"]) == (422, pointer)


@pytest.fixture(scope="module")
def limited(database_url: str) -> Iterator[Cast]:
    """Run an API in which a user makes at most two reports a minute."""
    with serve_api(database_url, CHAT_REPORTS_PER_USER="2/60") as url, Cast(url) as people:
        yield people


def test_reports_are_limited(limited: Cast) -> None:
    """Beyond the limit a new report is refused and not stored; repeating an old one is not."""
    alice, host = limited.user("alice"), limited.service()
    paths = [f"/api/users/{limited.user(name).user_id}/report/" for name in "abc"]
    reason = {"reason": "Spam."}

    answers = [alice.post(path, reason) for path in (*paths, paths[0])]

    assert [answer.status_code for answer in answers] == [201, 201, 429, 200]
    assert answers[2].json()["code"] == "rate_limited"
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 60
    assert limited.user("bob").post(paths[2], reason).status_code == 201
    assert [host.post(path, reason).status_code for path in paths] == [201, 201, 201]


def test_the_queue_has_open_reports_oldest_first(scene: Scene) -> None:
    """What was decided leaves the queue and is in the other list, the newest first."""
    reports = [scene.report()]
    reports += [
        scene.alice.post(f"/api/users/{name}/report/", {"reason": "Spam."}).json()["id"]
        for name in (scene.bob.user_id, f"x-{scene.bob.user_id}", f"y-{scene.bob.user_id}")
    ]
    assert [report for report in read_queue(scene.host) if report in reports] == reports

    scene.decide(reports[0], "keep")
    scene.decide(reports[2], "keep")

    assert [report for report in read_queue(scene.host) if report in reports] == [
        reports[1],
        reports[3],
    ]
    decided = read_queue(scene.host, "decided")
    assert [report for report in decided if report in reports] == [reports[2], reports[0]]


def test_a_list_in_pages_has_each_report_once(scene: Scene) -> None:
    """Following the links forwards and backwards gives every open report, in one order."""
    for name in "abcdef":
        scene.alice.post(f"/api/users/{name}-{scene.bob.user_id}/report/", {"reason": "Spam."})
    whole = read_queue(scene.host)

    first = read_page(scene.host, "/api/reports/", limit=2)
    forwards = follow(scene.host, "next", first)

    assert [report["id"] for report in flatten(forwards)] == whole
    last = first
    while last["next"] is not None:
        assert "state" not in last["next"]
        last = read_page(scene.host, last["next"])
    backwards = follow(scene.host, "previous", last)
    assert [report["id"] for page in reversed(backwards) for report in page] == whole


def test_a_list_stays_what_it_is_over_its_pages(scene: Scene) -> None:
    """The link to the next page of the decided reports leads to decided reports."""
    for name in "abc":
        path = f"/api/users/{name}-{scene.bob.user_id}/report/"
        scene.decide(scene.alice.post(path, {"reason": "Spam."}).json()["id"], "keep")

    page = read_page(scene.host, "/api/reports/", state="decided", limit=2)
    more = read_page(scene.host, page["next"])

    assert {report["decision"] for report in more["results"]} == {"keep"}


def test_an_unknown_state_is_refused(host: Actor) -> None:
    """The error names the parameter and what it may be."""
    answer = host.get("/api/reports/", state="all")

    assert (answer.status_code, answer.json()["pointer"]) == (422, "state")
    assert "decided, open" in answer.json()["detail"]


def test_a_report_comes_with_what_it_takes_to_decide(scene: Scene) -> None:
    """Up to five messages before and after, the other reports of the user, the decisions."""
    for n in range(8):
        scene.alice.send(scene.room, f"after {n}")
    report = scene.report()
    scene.alice.post(f"/api/users/{scene.bob.user_id}/report/", {"reason": "Spam."})
    scene.decide(report, "keep", note="Seen.")

    content = scene.read(report)

    assert content["reported_by"] == scene.alice.user_id
    assert content["message"]["content"] == "a rude word"
    shown = [message["content"] for message in content["context"]]
    assert shown == ["a rude word", *(f"after {n}" for n in range(5))]
    assert content["other_reports"] == 1
    (decision,) = content["decisions"]
    assert (decision["decision"], decision["note"]) == ("keep", "Seen.")
    assert decision["decided_by"] == scene.host.user_id
    assert content["decision"] == "keep"


def test_the_context_is_around_the_message(scene: Scene) -> None:
    """A message in the middle of a room has five neighbours on each side, the oldest first."""
    texts = [f"text {n}" for n in range(20)]
    ids = [scene.bob.send(scene.room, text).json()["id"] for text in texts]
    path = f"/api/rooms/{scene.room}/messages/{ids[10]}/report/"
    report = scene.alice.post(path, {"reason": "It is rude."}).json()["id"]

    context = scene.read(report)["context"]

    assert [message["content"] for message in context] == texts[5:16]


def test_a_user_reported_without_a_message_has_no_context(scene: Scene) -> None:
    """There is nothing around it, and that is said."""
    path = f"/api/users/{scene.bob.user_id}/report/"
    report = scene.alice.post(path, {"reason": "Spam."}).json()["id"]

    content = scene.read(report)

    assert (content["message"], content["context"]) == (None, [])


@pytest.mark.parametrize("report", ["0", "01", "x", "9223372036854775808", "4611686018427387904"])
def test_an_unknown_report_is_not_found(host: Actor, report: str) -> None:
    """Reading and deciding answer alike."""
    assert host.get(f"/api/reports/{report}/").status_code == 404
    answer = host.post(f"/api/reports/{report}/decide/", {"decision": "keep"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
