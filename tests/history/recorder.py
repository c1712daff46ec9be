"""Writes and reads histories: one JSON object per line, all with times of one clock.

Every line has `at`, the seconds of CLOCK_MONOTONIC, and `type`, on which its other fields depend:

    run        seed, fault, realtime                      the first line
    connect    device, user                               a device starts; its first record
    invoke     op, process, action, and its arguments     an operation begins
    ok         op, and the answer                         it was acknowledged
    fail       op                                         it was certainly not applied
    info       op, why                                    nobody knows whether it was applied
    frame      device, user, room, version, event_type, id?, content?, first?   received on a socket
    apply      the same                                   the device applied it
    subscribed device, user, recovered, was_recovering    it is subscribed
    fetch      device, user, room, after, status          the device read the room's log
    snapshot   device, user, room, version                the device read the whole room again
    forget     device, user, room                         the device dropped the room
    unasked    user, room, version, event_type, id?       published to a user who asked for no token
    fault      name, phase: start or stop
    rest                                                  no work is left
    final_api  room, messages: [seq, id, user, key, content]
    final_db   room, name, version, last_seq, members,
               messages: {seq, id, user, key, content, deleted},
               events: {version, type, user, id, change, first?}
    final_device  device, user, held, fresh

    action     arguments                    what ok answers
    send       room, user, key, content, by?  id, seq
    add        room, user                   version, of the room after it
    remove     room, user                   version
    delete     room, id
    rename     room, name                   version, of the room just after it
    read_page  room, user, after, limit     messages: [seq, id, key, content], seqs rising
    mark_read  device, user, room, seq
    unread     device, user, room           count

A retry of a send is an operation of its own with the same room, user, key and content. A send has
`by: "sql"` if it did not go by HTTP, as those of an importer and of the host's own transactions.
`name` is the room's name at the end. The version in the answer to a rename is that of its own
event; those in the answers to `add` and `remove` may be later. `change` is the version of the first
event of the call that an event belongs to: all users that one call adds receive all of its events.
`first` is the event's `first_version`, where it has one: only this event of its call was published.

Every device that connects has a `final_device`. A `subscribed` comes before the frames of its
subscription, also before those that were recovered. Without `recovered`, what was published while
the device was disconnected does not come as a frame.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

Record = dict[str, Any]


class HistoryError(ValueError):
    """A history cannot be read: a line is broken or does not have the format."""


class Recorder:
    """When a call returns, its whole record is in the file; times never decrease.

    Any number of threads and one event loop may share a recorder: a record is a short write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("w", encoding="ascii")
        self._lock = Lock()
        self._ops = count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what is recorded after that raises ValueError."""
        with self._lock:
            self._file.close()

    def write(self, type: str, /, **fields: Any) -> None:  # noqa: A002 - the format's word
        """Record what happened now.

        Raises:
            TypeError: a field that JSON does not have; the file is unchanged.
        """
        # The clock is read under the lock. Else two threads could write their times in the wrong
        # order, and the order of the lines is the order in which a device did things.
        with self._lock:
            line = json.dumps({"at": time.monotonic(), "type": type, **fields})
            self._file.write(line + "\n")
            self._file.flush()

    def invoke(self, process: str, action: str, /, **arguments: Any) -> int:
        """Record that an operation begins, before it is sent; return its number."""
        op = next(self._ops)
        self.write("invoke", op=op, process=process, action=action, **arguments)
        return op

    def ok(self, op: int, /, **result: Any) -> None:
        """Record that an operation was acknowledged, when its whole answer was received."""
        self.write("ok", op=op, **result)

    def fail(self, op: int, /, **result: Any) -> None:
        """Record that an operation was certainly not applied, as after a refusal."""
        self.write("fail", op=op, **result)

    def info(self, op: int, /, *, why: str) -> None:
        """Record that nobody knows whether an operation was applied, as after a timeout."""
        self.write("info", op=op, why=why)

    @contextmanager
    def fault(self, name: str) -> Iterator[None]:
        """Record when a fault starts, and when it stops, however the block ends.

        The block causes the fault and repairs it: the bounds for the time after a fault hold from
        its end.
        """
        self.write("fault", name=name, phase="start")
        try:
            yield
        finally:
            self.write("fault", name=name, phase="stop")


def read_history(path: Path) -> list[Record]:
    """Return all records of a history, without a last line that is incomplete because of a kill.

    Raises:
        HistoryError: another line is no record; the message names it.
    """
    *lines, rest = path.read_bytes().split(b"\n")
    try:
        # One array is read several times as fast as single lines.
        records = json.loads(b"[" + b",".join(lines) + b"]")
    except ValueError:
        records = []
    if len(records) != len(lines) or not all(map(_is_record, records)):
        records = [_read_line(line, n, path) for n, line in enumerate(lines, start=1)]
    try:
        return [*records, _read_line(rest, len(lines) + 1, path)] if rest else list(records)
    except HistoryError:
        return list(records)


def _read_line(line: bytes, number: int, path: Path) -> Record:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise HistoryError(f"{path}, line {number}: {error}: {line[:80]!r}") from error
    if not _is_record(record):
        raise HistoryError(f"{path}, line {number}: no record: {line[:80]!r}")
    return dict(record)


def _is_record(value: object) -> bool:
    return isinstance(value, dict) and "at" in value and "type" in value
