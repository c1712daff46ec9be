"""Which events must reach a device as frames."""

import pytest

from tests.history.checker import Bounds, Check, check
from tests.history.correct import make_history
from tests.history.planted import PLANTED
from tests.history.recorder import Record

_DEVICE = {"device": "d", "user": "v"}


@pytest.mark.parametrize("name", ["frame_never_comes", "subscription_is_called_recovered"])
def test_where_it_is_not_promised_devices_may_miss_events(name: str) -> None:
    """With servers without a broker a device may miss events, and that is documented."""
    (planted,) = [planted for planted in PLANTED if planted.name == name]
    records = planted.plant(make_history(2))

    assert check(records).missed > 0
    assert check(records, Bounds(is_continuous=False)).ok


@pytest.mark.parametrize(
    "frames, missed",
    [
        ([(2.0, 4), (3.0, 5)], {3}),
        ([(2.0, 3), (3.0, 4), (4.0, 5)], set()),
        ([(2.0, 3), (4.0, 5)], {4}),
        ([(2.0, 4)], {3, 5}),
        ([], {3, 4, 5}),
    ],
)
def test_what_was_requested_after_a_subscription_must_arrive(
    frames: list[tuple[float, int]], missed: set[int]
) -> None:
    """The third of five events was requested after the subscription, and the first before it."""
    records = _make_room()
    for at, version in frames:
        event = {"id": version, "content": "c", "event_type": "message_added", "version": version}
        records.append({"at": at, "type": "frame", **_DEVICE, "room": 1, **event})
    subscribed = {"recovered": False, "was_recovering": False}
    records.append({"at": 0.25, "type": "subscribed", **_DEVICE, **subscribed})
    records.append({"at": 0.4, "type": "snapshot", **_DEVICE, "room": 1, "version": 5})
    records.append({"at": 6.0, "type": "rest"})

    verdict = check(sorted(records, key=lambda record: float(record["at"])))

    assert verdict.missed == len(missed), verdict.describe()
    assert [
        f"as versions {sorted(missed)}" in text
        for text in verdict.failures.get(Check.EVERY_EVENT_ARRIVES, [])
    ] == [True] * bool(missed)


def _make_room() -> list[Record]:
    """Return five messages of u in a room of v, sent at 0.1, 0.2 and so on."""
    records: list[Record] = []
    rows, events = [], [{"version": 0, "type": "user_joined", "user": "v", "id": None, "change": 0}]
    for n in range(1, 6):
        asked = {"room": 1, "user": "u", "key": f"k{n}", "content": "c"}
        records += [
            {"at": n / 10, "type": "invoke", "op": n, "process": "p", "action": "send", **asked},
            {"at": n / 10 + 0.05, "type": "ok", "op": n, "id": n, "seq": n},
        ]
        rows.append({**asked, "seq": n, "id": n, "deleted": False})
        event = {"type": "message_added", "user": "u", "id": n}
        events.append({**event, "version": n, "change": n})
    final = {"room": 1, "name": "n", "version": 5, "last_seq": 5, "members": ["v"]}
    records.append({"at": 9.0, "type": "final_db", "messages": rows, "events": events, **final})
    return records
