"""In any order of reads and events, a client ends with what the service has."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from client.reducer import Json, Outcome, Reducer
from tests.client.room_history import ME, ROOM, RoomHistory

KEEP = 3
USERS = ["ann", "bob", ME, "zoe"]
CHANGES: dict[str, Callable[[RoomHistory, int], None]] = {
    "send": lambda world, n: world.send(USERS[n % 4]),
    "delete": lambda world, n: world.delete(1 + n % world.last_seq) if world.last_seq else None,
    "delete_last": lambda world, _: world.delete(world.last_seq) if world.last_seq else None,
    "rename": lambda world, _: world.rename(),
    "join": lambda world, n: world.join(USERS[n % 4]),
    "join_in_bulk": lambda world, n: world.join_in_bulk(*USERS[n % 2 :]),
    "change_member": lambda world, n: world.change_member(
        USERS[n % 4], ("member", "moderator", "owner")[n % 3], (None, "t900")[n % 2]
    ),
    "leave": lambda world, n: world.leave(USERS[n % 4]),
}

# The same examples each time, and no time limit: the machine may be busy.
REPRODUCIBLE = settings(derandomize=True, database=None, deadline=None, max_examples=300)

# Mostly messages, so that more are sent than are kept.
kinds = st.one_of(st.just("send"), st.sampled_from(sorted(CHANGES)))
histories = st.lists(st.tuples(kinds, st.integers(0, 11)), min_size=1, max_size=14)


def make_world(history: list[tuple[str, int]]) -> RoomHistory:
    """Return a room that has Ann and me as its first members, after the changes."""
    world = RoomHistory("ann", ME)
    for kind, n in history:
        CHANGES[kind](world, n)
    return world


class Reader:
    """Reads as a device does; each answer has some version that is not older than those before.

    `draw` chooses the version between the earliest and the latest possible one.
    """

    def __init__(self, world: RoomHistory, draw: Callable[[int, int], int]) -> None:
        self.world = world
        self.reducer = Reducer(ME, keep=KEEP)
        self.now = 0
        self._draw = draw

    def deliver(self, event: Json) -> None:
        """Receive an event from the channel; it was published after its change."""
        self.now = max(self.now, event["body"]["room"]["version"])
        match self.reducer.receive(event):
            case Outcome.GAP:
                self.catch_up()
            case Outcome.UNKNOWN_ROOM:
                self.read_again()

    def catch_up(self) -> None:
        """Fetch and apply the events that follow."""
        version = self._pass_time()
        if not self.world.is_mine(version):
            self.reducer.forget(ROOM)
            return
        for event in self.world.log(self.reducer.version(ROOM), version):
            if self.reducer.receive(event) is Outcome.UNKNOWN_ROOM:
                self.read_again()
                return

    def read_again(self) -> None:
        """Read the room, its members in two pages, and its messages, each at its own version."""
        versions = [self._pass_time() for _ in range(4)]
        if not all(self.world.is_mine(version) for version in versions):
            self.reducer.forget(ROOM)
            return
        first, second, third, fourth = versions
        self.reducer.replace(
            self.world.room(first),
            self._read_members(second, third),
            self.world.messages(fourth, KEEP),
        )

    def look_at_members(self) -> None:
        """Read the members if some are unknown, in two pages."""
        if self.reducer.lacks_members(ROOM):
            second, third = self._pass_time(), self._pass_time()
            if self.world.is_mine(second) and self.world.is_mine(third):
                self.reducer.replace_members(ROOM, self._read_members(second, third))

    def _read_members(self, second: int, third: int) -> list[Json]:
        return [
            *(member for member in self.world.members(second) if member["user"] < "b"),
            *(member for member in self.world.members(third) if member["user"] >= "b"),
        ]

    def _pass_time(self) -> int:
        self.now = self._draw(max(self.now, 1), self.world.head)
        return self.now


@REPRODUCIBLE
@given(history=histories, data=st.data())
def test_a_room_read_piece_by_piece_converges(
    history: list[tuple[str, int]], data: st.DataObject
) -> None:
    """Room, members and messages may be of different versions; the next events repair that."""
    world = make_world(history)
    reader = Reader(world, lambda low, high: data.draw(st.integers(low, high), label="version"))
    # It subscribes before it reads, so it receives everything that is published afterwards.
    subscribed_at = data.draw(st.integers(1, world.head), label="subscribed at")
    reader.now = subscribed_at

    reader.read_again()
    for event in world.frames(after=subscribed_at):
        reader.deliver(event)
        if data.draw(st.booleans(), label="somebody looks"):
            reader.look_at_members()
    reader.look_at_members()

    assert reader.reducer.state() == world.state(KEEP)


@REPRODUCIBLE
@given(history=histories, data=st.data())
def test_any_order_of_deliveries_converges(
    history: list[tuple[str, int]], data: st.DataObject
) -> None:
    """Events that come late, twice or in another order lead to the same state."""
    world = make_world(history)
    reader = Reader(world, lambda low, high: data.draw(st.integers(low, high), label="version"))
    frames = world.frames(after=0)
    again = data.draw(st.lists(st.sampled_from(frames), max_size=4), label="again")

    for event in data.draw(st.permutations(frames + again), label="order"):
        reader.deliver(event)
    reader.look_at_members()

    assert reader.reducer.state() == world.state(KEEP)
