"""Names with line breaks survive the admin, and names that cannot be seen are shown as such."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from chat.visible import make_visible
from tests.admin.staff import Stage, read_errors, read_messages

NAMES = [
    "two\nlines",
    "two\r\nlines\r\n",
    "\rcarriage\r",
    "\n\n",
    "\ttab\t",
    "  spaces  ",
    "\u202ereversed",
    "zero\u200bwidth",
    "\x1b[31mred\x7f",
    "\u3164",
    'quote" & <b>',
]


class _Inputs(HTMLParser):
    """Reads a form as a browser does: the values that are sent where nobody touches anything."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self._area: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name = given.get("name", "")
        if tag == "input" and given.get("type") in {"text", "hidden"}:
            # The HTML standard: "strip newlines from the value".
            self.values[name] = re.sub(r"[\r\n]", "", given.get("value", ""))
        if tag == "textarea":
            self._area, self.values[name] = name, ""

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self.values[self._area] += data.removeprefix("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = None


def fill_in(staff: Client, address: str) -> dict[str, str]:
    """Return what the browser sends from the form of a page if nothing is touched."""
    page = staff.get(address).text
    reader = _Inputs()
    reader.feed(page[page.index('id="content-main"') :])
    return reader.values


def read_name(stage: Stage, room: int) -> str:
    """Return a room's name."""
    (row,) = stage.connection.execute("SELECT name FROM chat_room WHERE id = %s", [room])
    return str(row["name"])


@pytest.mark.parametrize("name", NAMES)
def test_an_untouched_name_is_kept(staff: Client, stage: Stage, name: str) -> None:
    """To open a room's page and save it changes nothing, however odd the name is."""
    room = stage.make_room(stage.alice, name=name)
    address = f"/admin/chat/room/{room}/change/"

    answer = staff.post(address, fill_in(staff, address))

    assert answer.status_code == 302, read_errors(answer)
    assert read_name(stage, room) == name
    assert stage.read_version(room) == 1
    assert "Changed name" not in staff.get(f"/admin/chat/room/{room}/history/").text


@pytest.mark.parametrize("name", NAMES)
def test_another_change_keeps_the_name(staff: Client, stage: Stage, name: str) -> None:
    """To add a user on the page is one event, and no rename; an error before it neither."""
    room = stage.make_room(stage.alice, name=name)
    address = f"/admin/chat/room/{room}/change/"
    refused = staff.post(address, fill_in(staff, address) | {"add_users": " bob"})
    assert "begins or ends with a space" in read_errors(refused)

    staff.post(address, fill_in(staff, address) | {"add_users": stage.bob})

    assert read_name(stage, room) == name
    assert [told["data"]["type"] for told in stage.list_published(room, 1)] == ["user_joined"]


def test_a_name_with_line_breaks_can_be_changed(staff: Client, stage: Stage) -> None:
    """What is typed is the new name; only the untouched one keeps its line breaks."""
    room = stage.make_room(stage.alice, name="two\nlines")
    address = f"/admin/chat/room/{room}/change/"

    staff.post(address, fill_in(staff, address) | {"name": "two lines"})

    assert read_name(stage, room) == "two lines"
    assert stage.read_version(room) == 2


@pytest.mark.parametrize("user_id", [" ", "\u00a0", "x\u3000"])
def test_no_user_id_is_changed_on_its_way(staff: Client, stage: Stage, user_id: str) -> None:
    """A line of spaces may be an id, so it is neither left out nor cut: it is refused."""
    room = stage.make_room(stage.alice)
    address = f"/admin/chat/room/{room}/change/"

    answer = staff.post(
        address, fill_in(staff, address) | {"add_users": f"{stage.bob}\r\n{user_id}"}
    )

    assert f"“{make_visible(user_id)}” begins or ends with a space" in read_errors(answer)
    assert stage.list_members(room) == [stage.alice]


def test_ids_with_hidden_characters_are_named(staff: Client, stage: Stage) -> None:
    """They are valid ids of other users, so they are added, and a message shows what they are."""
    room = stage.make_room(stage.alice)
    address = f"/admin/chat/room/{room}/change/"

    staff.post(address, fill_in(staff, address) | {"add_users": f"{stage.bob}\u200b"})

    shown = f"With characters that cannot be seen: {stage.bob}‹U+200B›"
    assert shown in read_messages(staff.get("/admin/chat/room/"))


LISTS = ["/admin/", *(f"/admin/chat/{model}/" for model in ("message", "member", "event"))]
HIDDEN = "\u202e\u200b\u2066\u3164\U000e0041"


class _Shown(HTMLParser):
    """Collects what a page shows: its texts and titles, without what stands in its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._is_input = False

    def handle_data(self, data: str) -> None:
        if not self._is_input:
            self.texts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_input = tag == "textarea"
        self.texts += [value or "" for name, value in attrs if name in {"title", "aria-label"}]

    def handle_endtag(self, _: str) -> None:
        self._is_input = False


def read_shown(answer: Any) -> str:
    """Return everything that a page shows."""
    reader = _Shown()
    reader.feed(answer.text)
    return "".join(reader.texts)


def open_rows(staff: Client, stage: Stage, user_id: str, name: str) -> dict[str, Any]:
    """Open every page of a room, a message and a member with such names."""
    room = stage.make_room(user_id, name=name)
    message = stage.send(room, user_id, f"{HIDDEN}text")
    member = stage.find_member(room, user_id)
    row = stage.connection.execute(
        "SELECT (SELECT max(id) FROM chat_event) AS e, (SELECT max(id) FROM chat_outbox) AS o"
    ).fetchone()
    assert row is not None
    change = f"/admin/chat/room/{room}/change/"
    saved = staff.post(change, fill_in(staff, change) | {"name": f"{name}!"})
    assert saved.status_code == 302
    pages = [
        "/admin/chat/room/",
        f"/admin/chat/message/?user={quote(user_id)}",
        f"/admin/chat/member/?user={quote(user_id)}",
        f"/admin/chat/room/?q={quote(name)}",
        change,
        f"/admin/chat/room/{room}/history/",
        f"/admin/chat/message/{message}/change/",
        f"/admin/chat/message/{message}/delete/",
        f"/admin/chat/member/{member}/change/",
        f"/admin/chat/member/{member}/delete/",
        f"/admin/chat/event/{row['e']}/change/",
        f"/admin/chat/outboxrow/{row['o']}/change/",
    ]
    answers: dict[str, Any] = {page: staff.get(page) for page in pages}
    for model, key in (("message", message), ("member", member)):
        chosen = {"action": "delete_selected", "_selected_action": [key]}
        answers[f"delete {model}"] = staff.post(f"/admin/chat/{model}/", chosen)
    refused = fill_in(staff, change) | {"add_users": f"{HIDDEN}{'x' * 128}"}
    answers["a refused id"] = staff.post(change, refused)
    return answers


def require_shown(answers: dict[str, Any]) -> None:
    """Require that each page writes out what is hidden, and hides nothing."""
    for page, answer in answers.items():
        shown = read_shown(answer)
        assert answer.status_code == 200, page
        assert not set(HIDDEN) & set(shown), page
        assert "‹U+202E›" in shown, page


def test_nothing_hidden_reaches_the_eye(staff: Client, stage: Stage) -> None:
    """Lists, pages, titles, crumbs, questions, messages, searches and logs write it out."""
    name = f"{HIDDEN}{stage.bob}"

    answers = open_rows(staff, stage, f"{HIDDEN}{stage.alice}", name)
    answers |= {page: staff.get(page) for page in LISTS}

    require_shown(answers)
    # The message about the change, and the list of recent actions.
    assert f"“{make_visible(name)}!” was changed" in read_shown(answers["/admin/chat/room/"])
    assert f"{make_visible(name)}!" in read_shown(answers["/admin/"])


def test_a_person_who_only_looks_sees_it_too(log_in: Callable[..., Client], stage: Stage) -> None:
    """The page without a form writes it out; so does the answer about a row that is not there."""
    room = stage.make_room(stage.alice, name=HIDDEN)
    reader = log_in("view_room")
    there, nowhere = (f"/admin/chat/room/{key}/change/" for key in (room, quote(HIDDEN)))

    require_shown({page: reader.get(page, follow=True) for page in (there, nowhere)})


def test_a_strangers_name_is_written_out(staff: Client, stage: Stage) -> None:
    """Anyone may try to log in, with any name and program: both are shown as text."""
    sent = {"username": f"{HIDDEN}admin", "password": "x"}
    Client(SERVER_NAME="localhost", headers={"user-agent": "curl"}).post("/admin/login/", sent)
    (row,) = stage.connection.execute("SELECT max(id) AS id FROM axes_accessattempt")
    pages = ["", f"{row['id']}/change/"]

    require_shown({page: staff.get(f"/admin/axes/accessattempt/{page}") for page in pages})
    assert staff.get("/admin/axes/accesslog/").status_code == 200


def test_names_are_isolated(staff: Client, stage: Stage) -> None:
    """A name in letters from right to left turns around only itself: each stands in its own bdi."""
    user_id = f"שלום{stage.alice}"
    room = stage.make_room(user_id, name=user_id)
    message = stage.send(room, user_id)

    for page in (
        "/admin/chat/room/",
        f"/admin/chat/room/{room}/change/",
        f"/admin/chat/message/?room={room}",
        f"/admin/chat/message/{message}/delete/",
        f"/admin/chat/member/{stage.find_member(room, user_id)}/delete/",
    ):
        assert f"<bdi>{user_id}</bdi>" in staff.get(page).text, page


def test_what_earlier_releases_logged_is_shown_too(staff: Client, stage: Stage) -> None:
    """The list of recent actions writes out what a row was called when it was changed."""
    room = stage.make_room(stage.alice)
    address = f"/admin/chat/room/{room}/change/"
    staff.post(address, fill_in(staff, address) | {"name": "Renamed"})
    stage.connection.execute(
        "UPDATE django_admin_log SET object_repr = %s WHERE object_id = %s", [HIDDEN, str(room)]
    )

    assert f"<bdi>{make_visible(HIDDEN)}</bdi>" in staff.get("/admin/").text


def test_a_command_sends_nothing_to_the_terminal() -> None:
    """`watch` prints a name with the terminal's own commands in it as text."""
    from embedded.management.commands.watch import describe_event  # noqa: PLC0415 - needs Django

    room = {"id": 1, "version": 2, "name": "\x1b]0;mine\x07\x9b2J\u202e"}
    body = {"room": room, "user": "a\u200b", "content": "\x1b[2Jone\ntwo\r"}

    line = describe_event({"type": "message_added", "body": body})

    assert line == (
        "‹U+001B›]0;mine‹U+0007›‹U+009B›2J‹U+202E› (room 1, version 2)  "
        "a‹U+200B›: ‹U+001B›[2Jone\ntwo‹U+000D›"
    )
