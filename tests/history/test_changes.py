"""The name that a room may have at the end."""

from tests.history.checker import check
from tests.history.correct import make_history
from tests.history.draft import Draft


def test_a_rename_without_an_answer_may_be_the_last() -> None:
    """The room has its name, although an earlier rename is the last acknowledged one."""
    draft = Draft(make_history(2))
    renames = [(call["room"], end["version"], end) for call, end in draft.calls("rename", "ok")]
    rooms = [room for room, *_ in renames]
    room = max(rooms, key=rooms.count)
    of_room = sorted(version for number, version, _ in renames if number == room)
    assert len(of_room) > 1
    for number, version, end in renames:
        if number == room and version == of_room[-1]:
            end["type"] = "info"

    verdict = check(draft.finish())

    assert verdict.ok, verdict.describe()
