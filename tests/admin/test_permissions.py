"""Who may do what in the admin: each permission opens one thing, and viewing changes nothing."""

from collections.abc import Callable

import pytest
from django.test import Client

from tests.admin.staff import Stage

LogIn = Callable[..., Client]
VIEW = ("view_room", "view_message", "view_member", "view_event", "view_outboxrow")


def name_changes(
    stage: Stage, room: int, member: int, message: int
) -> dict[str, tuple[str, dict[str, object]]]:
    """Return each change there is, as the address and the form that ask for it."""
    inline = {"member_set-TOTAL_FORMS": "1", "member_set-INITIAL_FORMS": "1"}
    nobody = {"member_set-TOTAL_FORMS": "0", "member_set-INITIAL_FORMS": "0"}
    yes: dict[str, object] = {"post": "yes"}
    chosen: dict[str, object] = {"action": "delete_selected", "post": "yes"}
    page = f"/admin/chat/room/{room}/change/"
    return {
        "create": ("/admin/chat/room/add/", {"name": f"new-{stage.alice}", "add_users": ""}),
        "rename": (page, {"name": "renamed", **nobody}),
        "add": (page, {"name": "general", "add_users": stage.charlie, **nobody}),
        "remove": (
            page,
            {"name": "general", **inline, "member_set-0-id": member, "member_set-0-DELETE": "on"},
        ),
        "remove in list": (f"/admin/chat/member/{member}/delete/", yes),
        "remove many": ("/admin/chat/member/", chosen | {"_selected_action": [member]}),
        "delete": (f"/admin/chat/message/{message}/delete/", yes),
        "delete many": ("/admin/chat/message/", chosen | {"_selected_action": [message]}),
    }


MATRIX = {
    (): set(),
    VIEW: set(),
    (*VIEW, "add_room"): {"create"},
    (*VIEW, "change_room"): {"rename"},
    (*VIEW, "change_room", "add_member"): {"rename", "add"},
    (*VIEW, "add_member"): set(),
    (*VIEW, "change_member", "change_message", "delete_room", "add_message"): set(),
    (*VIEW, "delete_member"): {"remove in list", "remove many"},
    (*VIEW, "change_room", "delete_member"): {
        *("rename", "remove", "remove in list", "remove many"),
    },
    (*VIEW, "delete_message"): {"delete", "delete many"},
    ("delete_event", "change_event", "delete_outboxrow", "add_outboxrow"): set(),
}


@pytest.mark.parametrize("permissions", MATRIX, ids=lambda names: "+".join(names[-2:]) or "none")
def test_a_permission_opens_just_its_change(
    log_in: LogIn, stage: Stage, permissions: tuple[str, ...]
) -> None:
    """Of all changes those happen that the person may make; the others leave no trace."""
    somebody = log_in(*permissions)
    happened = set()

    for change in name_changes(stage, 0, 0, 0):
        room = stage.make_room(stage.alice)
        message = stage.send(room, stage.alice)
        member = stage.find_member(room, stage.alice)
        address, form = name_changes(stage, room, member, message)[change]
        answer = somebody.post(address, form)
        assert answer.status_code in {200, 302, 403}, (change, answer.status_code)
        created = stage.connection.execute(
            "SELECT FROM chat_room WHERE name = %s", [f"new-{stage.alice}"]
        ).fetchone()
        if stage.read_version(room) != 2 or (change == "create" and created is not None):
            happened.add(change)

    assert happened == MATRIX[permissions]


@pytest.mark.parametrize("model", ["message", "member", "event", "outboxrow"])
def test_nothing_is_written_by_hand(staff: Client, stage: Stage, model: str) -> None:
    """Rows that only functions make can be neither added nor edited, by a superuser either."""
    room = stage.make_room(stage.alice)
    stage.send(room, stage.alice)
    (row,) = stage.connection.execute(
        f"SELECT max(id) AS id FROM chat_{model.removesuffix('row')}".encode()
    )

    assert staff.get(f"/admin/chat/{model}/add/").status_code == 403
    assert staff.post(f"/admin/chat/{model}/{row['id']}/change/", {}).status_code == 403
    assert staff.get(f"/admin/chat/{model}/{row['id']}/change/").status_code == 200


@pytest.mark.parametrize("model", ["event", "outboxrow"])
def test_the_log_and_the_outbox_are_only_read(staff: Client, stage: Stage, model: str) -> None:
    """No row of them is deleted by hand, by a superuser either."""
    room = stage.make_room(stage.alice)
    (row,) = stage.connection.execute(
        f"SELECT max(id) AS id FROM chat_{model.removesuffix('row')}".encode()
    )

    assert (
        staff.post(f"/admin/chat/{model}/{row['id']}/delete/", {"post": "yes"}).status_code == 403
    )
    assert "delete_selected" not in staff.get(f"/admin/chat/{model}/").text
    assert stage.list_published(room) != []


def test_strangers_are_sent_to_the_login(log_in: LogIn, admin_database_url: str) -> None:
    """Without a login, or without being staff, no page opens."""
    assert admin_database_url
    nobody = Client(SERVER_NAME="localhost")
    for page in ("/admin/", "/admin/chat/message/", "/admin/chat/room/add/"):
        assert nobody.get(page).headers["Location"].startswith("/admin/login/")
    assert log_in().get("/admin/chat/message/").status_code == 403
