"""The operations of a history, and its sends, in which all retries of a message are one."""

from collections import defaultdict
from dataclasses import dataclass, field
from math import inf
from typing import Any

from tests.history.recorder import HistoryError, Record

Key = tuple[Any, str, str]


@dataclass(slots=True)
class Operation:
    """One call: it began at `invoke` and ended at `complete` seconds (never: infinity).

    `status` is ok, fail or info; it is info if no end was recorded.
    """

    action: str
    arguments: Record
    invoke: float
    complete: float = inf
    status: str = "info"
    result: Record = field(default_factory=dict)

    @property
    def is_imported(self) -> bool:
        """Whether it went by SQL, not by HTTP."""
        return self.arguments.get("by") == "sql"


@dataclass(slots=True)
class Send:
    """A message that someone wanted to send: all calls with one room, user and key.

    It may be stored from the first call's `invoke` on; `complete` is the first acknowledgement
    (none: infinity). `status` is ok if any call was acknowledged, fail if none was applied for
    certain, else info. `answers` are the acknowledged ids and seqs. `is_imported` says that no call
    went by HTTP.
    """

    content: str
    invoke: float
    complete: float
    status: str
    answers: list[tuple[int, int]]
    is_imported: bool = True

    def acknowledged_at(self, number: int) -> float:
        """Return when a row with this id was acknowledged; infinity if no answer names it."""
        return self.complete if any(number == answer[0] for answer in self.answers) else inf


def read_operations(records: list[Record]) -> dict[str, list[Operation]]:
    """Return the operations by action, each list in the order of invocation.

    Raises:
        HistoryError: an end without a beginning, or a second end.
    """
    by_number: dict[int, Operation] = {}
    by_action: defaultdict[str, list[Operation]] = defaultdict(list)
    for record in records:
        kind = record["type"]
        if kind == "invoke":
            operation = Operation(record["action"], record, record["at"])
            by_number[record["op"]] = operation
            by_action[operation.action].append(operation)
        elif kind in {"ok", "fail", "info"}:
            ended = by_number.pop(record["op"], None)
            if ended is None:
                raise HistoryError(f"operation {record['op']} ended and was not under way")
            ended.complete, ended.status, ended.result = record["at"], kind, record
    return by_action


def merge_sends(calls: list[Operation]) -> dict[Key, Send]:
    """Merge the calls of each message: a retry has the room, user and key of the first call.

    Raises:
        HistoryError: a retry has other content, so it was another message.
    """
    sends: dict[Key, Send] = {}
    for call in calls:
        arguments = call.arguments
        key = (arguments["room"], arguments["user"], arguments["key"])
        send = sends.get(key)
        if send is None:
            send = sends[key] = Send(arguments["content"], call.invoke, inf, "fail", [])
        elif send.content != arguments["content"]:
            raise HistoryError(f"the key {key} was used for two contents")
        send.is_imported &= call.is_imported
        if call.status == "ok":
            send.status = "ok"
            send.complete = min(send.complete, call.complete)
            send.answers.append((call.result["id"], call.result["seq"]))
        elif call.status == "info" and send.status == "fail":
            send.status = "info"
    return sends
