"""A run, read from its records: requests, what devices received, and the state at the end."""

from collections import defaultdict
from dataclasses import dataclass
from math import inf
from typing import Any

from tests.history.operations import Key, Operation, Send, merge_sends, read_operations
from tests.history.recorder import HistoryError, Record
from tests.history.rooms import Room, read_room

_OPERATIONS = frozenset({"invoke", "ok", "fail", "info"})
_STEPS = frozenset({"apply", "snapshot", "forget"})
_UNUSED = frozenset({"run", "connect", "subscribed", "fetch"})
_VERSIONED = frozenset({"add", "remove", "rename"})
Place = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """A run; times are seconds of one clock.

    `sends` has each message once, `calls` every operation by action, in the order of invocation.
    `deletions` are those that may have been applied, by the message's id. `owners` are the users
    of the devices. `steps` are what each device did in each room (apply, snapshot, forget), in
    order; `unasked` are the events published to users who asked for no token; `received` are the
    subscriptions and frames of each device, in order. `compared` are the `final_device` records by
    device, `api` the rows that the API showed at the end. `faults` are the start and end of each
    fault, infinity if it has no end.
    """

    sends: dict[Key, Send]
    calls: dict[str, list[Operation]]
    deletions: dict[int, list[Operation]]
    owners: dict[str, str]
    steps: dict[Place, list[Record]]
    frames: list[Record]
    unasked: list[Record]
    received: dict[str, list[Record]]
    rooms: dict[Any, Room]
    api: dict[Any, list[list[Any]]]
    compared: dict[str, Record]
    faults: list[tuple[float, float]]
    rest: float | None


def read_run(records: list[Record]) -> Run:
    """Sort the records of a history.

    Raises:
        HistoryError: a record that the format does not have.
    """
    try:
        return _read_run(records)
    except (LookupError, TypeError) as error:
        raise HistoryError(f"a record lacks a field, or has a wrong one: {error}") from error


def _read_run(records: list[Record]) -> Run:
    calls = read_operations(records)
    _require_versions(calls)
    steps: defaultdict[Place, list[Record]] = defaultdict(list)
    others: dict[str, list[Record]] = {
        name: [] for name in ("frame", "unasked", "fault", "final_api", "final_db", "final_device")
    }
    owners: dict[str, str] = {}
    rest = None
    for record in records:
        kind = record["type"]
        if kind in _OPERATIONS:
            continue
        if "device" in record:
            owners[record["device"]] = record["user"]
        if kind in _STEPS:
            steps[record["device"], record["room"]].append(record)
        elif kind in others:
            others[kind].append(record)
        elif kind == "rest":
            rest = record["at"]
        elif kind not in _UNUSED:
            raise HistoryError(f"there is no record of this type: {kind}")
    return Run(
        sends=merge_sends(calls.get("send", [])),
        calls=calls,
        deletions=_find_deletions(calls.get("delete", [])),
        owners=owners,
        steps=steps,
        frames=others["frame"],
        unasked=others["unasked"],
        received=_read_received(records),
        rooms={record["room"]: read_room(record) for record in others["final_db"]},
        api={record["room"]: record["messages"] for record in others["final_api"]},
        compared={record["device"]: record for record in others["final_device"]},
        faults=_read_faults(others["fault"]),
        rest=rest,
    )


def _read_received(records: list[Record]) -> dict[str, list[Record]]:
    received: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record["type"] in {"subscribed", "frame"}:
            received[record["device"]].append(record)
    return received


def _require_versions(calls: dict[str, list[Operation]]) -> None:
    """Refuse answers without the version that a check needs."""
    for action in _VERSIONED:
        for call in calls.get(action, ()):
            if call.status == "ok" and not isinstance(call.result.get("version"), int):
                raise HistoryError(f"an acknowledged {action} has no version: {call.result}")


def _find_deletions(calls: list[Operation]) -> dict[int, list[Operation]]:
    found: defaultdict[int, list[Operation]] = defaultdict(list)
    for call in calls:
        if call.status != "fail":
            found[call.arguments["id"]].append(call)
    return dict(found)


def _read_faults(records: list[Record]) -> list[tuple[float, float]]:
    """Pair the starts and stops of each fault by its name."""
    faults: list[tuple[float, float]] = []
    open_at: dict[str, list[float]] = defaultdict(list)
    for record in records:
        if record["phase"] == "start":
            open_at[record["name"]].append(record["at"])
        elif record["phase"] == "stop":
            faults.append((open_at[record["name"]].pop(), record["at"]))
    return sorted([*faults, *((at, inf) for started in open_at.values() for at in started)])
