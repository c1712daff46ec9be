"""What each endpoint asks of PostgreSQL: which statements, and how many round trips."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx
import psycopg
import pytest

from chat.api.application import ROUTES
from chat.sql.notifier import NOTIFY
from tests.gates.tap import Tap, tap_postgres
from tests.support.actors import Actor, Cast
from tests.support.processes import serve_api

WARM = 15
"""Requests after which a session has prepared the statement: then a call is one round trip."""


@dataclass
class Place:
    """A room, and those who make the requests."""

    room: int
    member: Actor
    host: Actor
    newcomer: str
    invite: dict[str, Any]
    message: int
    report: int

    @cached_property
    def gone(self) -> int:
        """Return a room that is deleted."""
        room = self.host.create_room(self.member)
        self.host.delete(f"/api/rooms/{room}/")
        return room

    @property
    def path(self) -> str:
        """The address of the room."""
        return f"/api/rooms/{self.room}/"


@pytest.fixture(scope="module")
def tapped(database_url: str) -> Iterator[tuple[Tap, str]]:
    """Run an API with one session of PostgreSQL, and listen to it; give its address."""
    with (
        tap_postgres(database_url, "besedka-api") as (tap, url),
        serve_api(url, DATABASE_POOL_SIZE="1") as address,
    ):
        yield tap, address


@pytest.fixture
def place(tapped: tuple[Tap, str]) -> Iterator[Place]:
    """Make a room of its own for a test."""
    with Cast(tapped[1]) as cast:
        member, host = cast.user("member"), cast.service()
        room = host.create_room(member)
        host.put_room("round-trips", member)
        message = member.send(room, "text").json()["id"]
        report = member.post("/api/users/nobody/report/", {"reason": "text"}).json()["id"]
        host.put("/api/words/heck/", {"action": "mask"})
        assert host.put("/api/bans/banned/").is_success
        invite = host.post(f"/api/rooms/{room}/invites/").json()
        newcomer = cast.user("newcomer").user_id
        yield Place(room, member, host, newcomer, invite, message, report)


Request = Callable[[Place], httpx.Response]
# For each operation of the API a request, and the statements that answer it.
REQUESTS: dict[str, tuple[Request, list[str]]] = {
    "list_rooms": (lambda at: at.member.get("/api/rooms/"), ["list_rooms"]),
    "create_room": (lambda at: at.host.post("/api/rooms/", {"name": "general"}), ["create_room"]),
    "open_direct_room": (
        lambda at: at.host.post(
            "/api/rooms/direct/", {"users": [at.member.user_id, secrets.token_hex(4)]}
        ),
        ["open_direct_room"],
    ),
    "read_room": (lambda at: at.member.get(at.path), ["find_room"]),
    "read_room_by_external_id": (
        lambda at: at.member.get("/api/rooms/by-external-id/round-trips/"),
        ["find_room_by_external_id"],
    ),
    "put_room_by_external_id": (
        lambda at: at.host.put(
            "/api/rooms/by-external-id/round-trips/",
            {"name": "general", "members": [{"user": at.member.user_id}]},
        ),
        ["approach_room"],
    ),
    "change_room": (lambda at: at.host.patch(at.path, {"name": "renamed"}), ["change_room"]),
    "delete_room": (lambda at: at.host.delete(f"/api/rooms/{at.gone}/"), ["delete_room"]),
    "read_room_deletion": (
        lambda at: at.host.get(f"/api/room-deletions/{at.gone}/"),
        ["find_room_deletion"],
    ),
    "list_messages": (lambda at: at.member.get(at.path + "messages/"), ["list_messages"]),
    "send_message": (lambda at: at.member.send(at.room, "text"), ["send_messages"]),
    "list_members": (lambda at: at.member.get(at.path + "members/"), ["list_members"]),
    "read_member": (
        lambda at: at.member.get(f"{at.path}members/{at.member.user_id}/"),
        ["find_member"],
    ),
    "change_member": (
        lambda at: at.host.patch(f"{at.path}members/{at.member.user_id}/", {"role": "moderator"}),
        ["update_member"],
    ),
    "join_room": (lambda at: at.member.post(at.path + "join/"), ["join_room"]),
    "leave_room": (lambda at: at.member.post(at.path + "leave/"), ["leave_room"]),
    "create_invite": (lambda at: at.host.post(at.path + "invites/"), ["create_invite"]),
    "list_invites": (lambda at: at.host.get(at.path + "invites/"), ["list_invites"]),
    "revoke_invite": (
        lambda at: at.host.delete(f"{at.path}invites/{at.invite['id']}/"),
        ["revoke_invite"],
    ),
    "read_invite": (
        lambda at: at.member.get(f"/api/invites/{at.invite['token']}/"),
        ["find_invite"],
    ),
    "accept_invite": (
        lambda at: at.member.post(f"/api/invites/{at.invite['token']}/accept/"),
        ["accept_invite"],
    ),
    "add_members": (
        lambda at: at.host.post(at.path + "members/", {"users": [at.newcomer]}),
        ["add_members"],
    ),
    "remove_member": (
        lambda at: at.host.delete(f"{at.path}members/{at.newcomer}/"),
        ["remove_member"],
    ),
    "list_bans": (lambda at: at.host.get(at.path + "bans/"), ["list_bans"]),
    "ban_from_room": (lambda at: at.host.put(at.path + "bans/troll/"), ["ban_from_room"]),
    "lift_ban_from_room": (lambda at: at.host.delete(at.path + "bans/troll/"), ["lift_ban"]),
    "read_ban": (lambda at: at.host.get("/api/bans/banned/"), ["find_ban"]),
    # One more for each membership of the user, and for each 50 messages.
    "ban_from_all_rooms": (
        lambda at: at.host.put("/api/bans/banned/"),
        ["ban_from_all_rooms", "list_rooms_to_leave"],
    ),
    "lift_ban_from_all_rooms": (lambda at: at.host.delete("/api/bans/troll/"), ["lift_ban"]),
    "list_blocks": (lambda at: at.member.get("/api/blocks/"), ["list_blocks"]),
    "block_user": (lambda at: at.member.put("/api/blocks/troll/"), ["block_user"]),
    "unblock_user": (lambda at: at.member.delete("/api/blocks/troll/"), ["unblock_user"]),
    "revoke_tokens": (lambda at: at.host.put("/api/users/nobody/not-before/"), ["revoke_tokens"]),
    "report_message": (
        lambda at: at.member.post(f"{at.path}messages/{at.message}/report/", {"reason": "text"}),
        ["report_message"],
    ),
    "report_user": (
        lambda at: at.member.post("/api/users/nobody/report/", {"reason": "text"}),
        ["report_user"],
    ),
    "list_reports": (lambda at: at.host.get("/api/reports/"), ["list_open_reports"]),
    "read_report": (lambda at: at.host.get(f"/api/reports/{at.report}/"), ["find_report"]),
    "decide_report": (
        lambda at: at.host.post(f"/api/reports/{at.report}/decide/", {"decision": "keep"}),
        ["decide_report"],
    ),
    "list_audit": (lambda at: at.host.get("/api/audit/", room=at.room), ["list_audit"]),
    "put_word": (
        lambda at: at.host.put("/api/words/darn/", {"action": "mask"}),
        ["put_word"],
    ),
    "read_word": (lambda at: at.host.get("/api/words/heck/"), ["find_word"]),
    "delete_word": (lambda at: at.host.delete("/api/words/darn/"), ["delete_word"]),
    "list_events": (lambda at: at.member.get(at.path + "events/"), ["list_events"]),
    "search_rooms": (lambda at: at.member.get("/api/search/", q="gen"), ["search_rooms"]),
    "read_connection_token": (
        lambda at: at.member.get("/api/token/connection/"),
        ["keep_listeners"],
    ),
    "read_subscription_token": (
        lambda at: at.member.get(
            "/api/token/subscription/", channel=f"personal:{at.member.user_id}"
        ),
        ["keep_listeners"],
    ),
    "check_live": (lambda at: at.member.get("/health/live"), []),
    "check_ready": (lambda at: at.member.get("/health/ready"), ["read_readiness", "is_copy"]),
    "read_schema": (lambda at: at.member.get("/api/schema/"), []),
    "read_docs": (lambda at: at.member.get("/api/docs/"), []),
}


def test_every_operation_is_counted_here() -> None:
    """A new endpoint says what it asks of the database."""
    assert REQUESTS.keys() == {handler.fn.__name__ for handler in ROUTES}


@pytest.mark.parametrize("operation", REQUESTS)
def test_an_answer_takes_these_statements_and_as_many_round_trips(
    tapped: tuple[Tap, str], place: Place, operation: str
) -> None:
    """One statement is one round trip: no BEGIN, no COMMIT, no check of the connection."""
    tap, _ = tapped
    request, statements = REQUESTS[operation]
    for _ in range(WARM):
        assert request(place).is_success

    for _ in range(3):
        tap.clear()
        assert request(place).is_success

        assert tap.statements == statements
        assert tap.round_trips == len(statements)


def test_several_events_are_notified_of_by_another_session(
    tapped: tuple[Tap, str], place: Place, database_url: str
) -> None:
    """No answer waits for the notification."""
    tap, _ = tapped
    with psycopg.connect(database_url, autocommit=True) as listener:
        listener.execute("LISTEN chat_outbox")
        tap.clear()
        place.host.create_room(place.member.listen(), place.host)
        assert list(listener.notifies(timeout=10, stop_after=1))

    assert NOTIFY.decode() in tap.statements_of_others


@pytest.mark.parametrize(
    "operation", ["list_rooms", "list_messages", "search_rooms", "list_events"]
)
def test_a_page_of_many_takes_the_statements_of_a_page_of_few(
    tapped: tuple[Tap, str], place: Place, operation: str
) -> None:
    """Nothing is asked for each entry of a page."""
    tap, _ = tapped
    for n in range(60):
        place.host.create_room(place.member, name=f"general {n}")
        place.member.send(place.room, f"text {n}")
    request, statements = REQUESTS[operation]
    for _ in range(WARM):
        assert len(request(place).json()["results"]) == 50

    tap.clear()
    request(place)

    assert tap.statements == statements
