"""Whatever order reads and events come in, a client ends with what the service has."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from client.reducer import Json, Outcome, Reducer
from tests.client.room_history import ME, ROOM, World

KEEP = 3
USERS = ["ann", "bob", ME, "zoe"]
CHANGES: dict[str, Callable[[World, int], None]] = {
    "send": lambda world, n: world.send(USERS[n % 4]),
    "delete": lambda world, n: world.delete(1 + n % world.last_seq) if world.last_seq else None,
    "delete_last": lambda world, _: world.delete(world.last_seq) if world.last_seq else None,
    "rename": lambda world, _: world.rename(),
    "join": lambda world, n: world.join(USERS[n % 4]),
    "leave": lambda world, n: world.leave(USERS[n % 4]),
}

# The same examples each time, and no time limit: the machine may be busy.
REPRODUCIBLE = settings(derandomize=True, database=None, deadline=None, max_examples=300)

# Mostly messages, so that more are sent than are kept.
kinds = st.one_of(st.just("send"), st.sampled_from(sorted(CHANGES)))
histories = st.lists(st.tuples(kinds, st.integers(0, 11)), min_size=1, max_size=14)


def make_world(history: list[tuple[str, int]]) -> World:
    """Return a room that is mine and Ann's at first, after the changes."""
    world = World("ann", ME)
    for kind, n in history:
        CHANGES[kind](world, n)
    return world


class Reader:
    """Reads as a device does; what it is answered is of any moment not before what it has seen.

    `draw` chooses the moments: it is given the earliest and the latest version.
    """

    def __init__(self, world: World, draw: Callable[[int, int], int]) -> None:
        self.world = world
        self.reducer = Reducer(ME, keep=KEEP)
        self.now = 0
        self._draw = draw

    def deliver(self, event: Json) -> None:
        """Take an event from the channel; it is published after it has happened."""
        self.now = max(self.now, event["body"]["room"]["version"])
        match self.reducer.receive(event):
            case Outcome.GAP:
                self.catch_up()
            case Outcome.UNKNOWN_ROOM:
                self.read_anew()

    def catch_up(self) -> None:
        """Fetch and apply what follows."""
        version = self._pass_time()
        if not self.world.is_mine(version):
            self.reducer.forget(ROOM)
            return
        for event in self.world.log(self.reducer.version(ROOM), version):
            if self.reducer.receive(event) is Outcome.UNKNOWN_ROOM:
                self.read_anew()
                return

    def read_anew(self) -> None:
        """Read the room, its members in two pages, its messages: each a moment of its own."""
        versions = [self._pass_time() for _ in range(4)]
        if not all(self.world.is_mine(version) for version in versions):
            self.reducer.forget(ROOM)
            return
        first, second, third, fourth = versions
        self.reducer.replace(
            self.world.room(first),
            [
                *(member for member in self.world.members(second) if member["user"] < "b"),
                *(member for member in self.world.members(third) if member["user"] >= "b"),
            ],
            self.world.messages(fourth, KEEP),
        )

    def _pass_time(self) -> int:
        self.now = self._draw(max(self.now, 1), self.world.head)
        return self.now


@REPRODUCIBLE
@given(history=histories, data=st.data())
def test_a_room_read_piece_by_piece_converges(
    history: list[tuple[str, int]], data: st.DataObject
) -> None:
    """Room, members and messages may be of different moments: the events that follow mend it."""
    world = make_world(history)
    reader = Reader(world, lambda low, high: data.draw(st.integers(low, high), label="version"))
    # Subscribed before it reads: of what is published, it gets all that comes after.
    subscribed_at = data.draw(st.integers(1, world.head), label="subscribed at")
    reader.now = subscribed_at

    reader.read_anew()
    for event in world.frames(after=subscribed_at):
        reader.deliver(event)

    assert reader.reducer.state() == world.state(KEEP)


@REPRODUCIBLE
@given(history=histories, data=st.data())
def test_any_order_of_deliveries_converges(
    history: list[tuple[str, int]], data: st.DataObject
) -> None:
    """Late, twice, or shuffled: with the fetches they cause, events lead to the same end."""
    world = make_world(history)
    reader = Reader(world, lambda low, high: data.draw(st.integers(low, high), label="version"))
    frames = world.frames(after=0)
    again = data.draw(st.lists(st.sampled_from(frames), max_size=4), label="again")

    for event in data.draw(st.permutations(frames + again), label="order"):
        reader.deliver(event)

    assert reader.reducer.state() == world.state(KEEP)
