"""`history: since_join`: a member reads what was sent and happened since joining."""

from dataclasses import dataclass

import pytest

from tests.contract.pages import flatten, follow, read_page
from tests.contract.test_errors import assert_problem
from tests.support.actors import Actor

SECRET = "said before"


@dataclass
class Scene:
    """A room with three messages before Bob joined, and three after."""

    room: int
    host: Actor
    alice: Actor
    bob: Actor
    older: list[int]
    newer: list[int]

    @property
    def path(self) -> str:
        """The address of the room."""
        return f"/api/rooms/{self.room}/"


@pytest.fixture
def scene(host: Actor, alice: Actor, bob: Actor) -> Scene:
    """Return a scene of this test's own."""
    room = host.create_room(alice, name=f"general of {alice.user_id}")
    assert host.patch(f"/api/rooms/{room}/", {"history": "since_join"}).status_code == 200
    older = [alice.send(room, f"{SECRET} {n}", f"old-{n}").json()["id"] for n in range(3)]
    host.post(f"/api/rooms/{room}/members/", {"users": [bob.user_id]})
    newer = [alice.send(room, f"said after {n}").json()["id"] for n in range(3)]
    return Scene(room, host, alice, bob, older, newer)


def test_the_list_begins_with_the_joining(scene: Scene) -> None:
    """A later member's pages end there, with no link to older ones; the others read all."""
    for limit in (1, 2, 50):
        page = read_page(scene.bob, scene.path + "messages/", limit=limit)
        read = flatten(follow(scene.bob, "next", page))
        assert [message["id"] for message in read] == scene.newer[::-1], limit
    for reader in (scene.alice, scene.host):
        page = read_page(reader, scene.path + "messages/")
        assert [message["id"] for message in page["results"]] == (scene.older + scene.newer)[::-1]


@pytest.mark.parametrize("name", ["before", "after", "around"])
def test_an_older_message_is_an_unknown_one(scene: Scene, name: str) -> None:
    """As an anchor it is answered as an id that no message has, byte for byte."""
    for anchor in scene.older:
        refused = scene.bob.get(scene.path + "messages/", **{name: anchor})
        unknown = scene.bob.get(scene.path + "messages/", **{name: 2**62})
        assert_problem(refused, 422, "invalid_input")
        assert refused.content == unknown.content


def test_around_the_first_readable_one_is_nothing_older(scene: Scene) -> None:
    """The window around, and the page before, end at the joining."""
    around = read_page(scene.bob, scene.path + "messages/", around=scene.newer[0], limit=10)
    before = read_page(scene.bob, scene.path + "messages/", before=scene.newer[0])

    assert [message["id"] for message in around["results"]] == scene.newer[::-1]
    assert around["next"] is None
    assert (before["results"], before["next"]) == ([], None)


def test_the_log_begins_with_the_joining(scene: Scene) -> None:
    """Below it the answer is 410 with that floor; from it on nothing is missing."""
    gone = scene.bob.get(scene.path + "events/", after=0)
    assert_problem(gone, 410, "events_gone")
    floor = gone.json()["floor"]

    events = read_page(scene.bob, scene.path + "events/", after=floor)["results"]

    assert [event["body"]["room"]["version"] for event in events] == list(range(6, 10))
    assert (floor, events[0]["type"], events[0]["body"]["user"]) == (
        5,
        "user_joined",
        scene.bob.user_id,
    )
    assert_problem(scene.bob.get(scene.path + "events/", after=floor - 1), 410, "events_gone")
    for reader in (scene.alice, scene.host):
        assert len(read_page(reader, scene.path + "events/")["results"]) == 9


def test_no_route_has_a_byte_of_it(scene: Scene) -> None:
    """Not when the last message is an older one either, in the room, in lists and in search."""
    room = scene.host.create_room(scene.alice, name=f"silent of {scene.alice.user_id}")
    scene.host.patch(f"/api/rooms/{room}/", {"history": "since_join"})
    scene.alice.send(room, SECRET)
    scene.host.post(f"/api/rooms/{room}/members/", {"users": [scene.bob.user_id]})

    for path in (
        *(f"/api/rooms/{room}/{rest}" for rest in ("", "messages/", "members/", "events/?after=3")),
        *("/api/rooms/", f"/api/search/?q={scene.alice.user_id}"),
        *(scene.path + rest for rest in ("", "messages/", "events/?after=5")),
    ):
        answer = scene.bob.get(path)
        assert answer.status_code == 200, path
        assert SECRET not in answer.text, path
        assert not {message for message in scene.older if f'"id":{message},' in answer.text}, path


def test_who_comes_back_reads_from_the_second_time_on(scene: Scene) -> None:
    """Also the own messages from before are gone for the member, as for anyone who joins."""
    scene.bob.send(scene.room, "mine")
    scene.host.delete(f"{scene.path}members/{scene.bob.user_id}/")
    scene.host.post(scene.path + "members/", {"users": [scene.bob.user_id]})

    assert read_page(scene.bob, scene.path + "messages/")["results"] == []


def test_all_shows_everything_and_since_join_hides_it_again(scene: Scene) -> None:
    """The switch is in force at once, for the members that the room has."""
    scene.host.patch(scene.path, {"history": "all"})
    assert len(read_page(scene.bob, scene.path + "messages/")["results"]) == 6

    scene.host.patch(scene.path, {"history": "since_join"})
    assert len(read_page(scene.bob, scene.path + "messages/")["results"]) == 3
    assert len(read_page(scene.alice, scene.path + "messages/")["results"]) == 6
