"""A copy of a history in which one thing can be made wrong while the rest stays consistent."""

import json
from collections import Counter
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

from tests.history.recorder import Record

Call = tuple[Record, Record]


class Draft:
    """A history that can be changed: its calls, its rows, and all records of a message."""

    def __init__(self, records: list[Record]) -> None:
        # A history is JSON, and this is several times as fast as deepcopy.
        self.records: list[Record] = json.loads(json.dumps(records))
        self.end = max(record["at"] for record in records)

    def finish(self) -> list[Record]:
        """Return the records in the order of their times."""
        return sorted(self.records, key=itemgetter("at"))

    def of(self, kind: str, **fields: Any) -> list[Record]:
        """Return the records of a type that have these fields."""
        return [
            record
            for record in self.records
            if record["type"] == kind and fields.items() <= record.items()
        ]

    def one(self, kind: str, **fields: Any) -> Record:
        """Return the first record of a type that has these fields."""
        return self.of(kind, **fields)[0]

    def drop(self, *records: Record) -> None:
        """Remove records."""
        dropped = {id(record) for record in records}
        self.records = [record for record in self.records if id(record) not in dropped]

    def add(self, at: float, kind: str, **fields: Any) -> Record:
        """Add a record."""
        record = {"at": at, "type": kind, **fields}
        self.records.append(record)
        return record

    def add_call(self, at: float, action: str, status: str, result: Record, **rest: Any) -> None:
        """Add an operation that takes a millisecond."""
        op = 1_000_000 + len(self.records)
        self.add(at, "invoke", op=op, process="planted", action=action, **rest)
        self.add(at + 0.001, status, op=op, **result)

    def calls(self, action: str, status: str) -> list[Call]:
        """Return the operations with their ends; of sends those that were not retried."""
        ends = {record["op"]: record for record in self.of(status)}
        begun = self.of("invoke", action=action)
        times = Counter((each.get("room"), each.get("user"), each.get("key")) for each in begun)
        return [
            (each, ends[each["op"]])
            for each in begun
            if each["op"] in ends
            and (action != "send" or times[each["room"], each["user"], each["key"]] == 1)
        ]

    def row(self, call: Record) -> Record | None:
        """Return the row of a send, where it was stored."""
        rows = self.one("final_db", room=call["room"])["messages"]
        same = (row for row in rows if (row["user"], row["key"]) == (call["user"], call["key"]))
        return next(same, None)

    def stored(self, status: str) -> list[tuple[Call, Record]]:
        """Return the sends with this status that are stored and not deleted, with their rows."""
        found = [(call, self.row(call[0])) for call in self.calls("send", status)]
        return [(call, row) for call, row in found if row is not None and not row["deleted"]]

    def pages(self) -> list[Call]:
        """Return the pages that have a few messages and did not reach their limit."""
        return [
            (call, end)
            for call, end in self.calls("read_page", "ok")
            if 5 <= len(end["messages"]) < call["limit"]
        ]

    def shown(self) -> set[int]:
        """Return the ids of all messages that a page showed."""
        pages = self.calls("read_page", "ok")
        return {entry[1] for _, end in pages for entry in end["messages"]}

    def mentions(self, number: int) -> Iterator[Record]:
        """Return the frames and applied events of a message."""
        for record in self.records:
            if record["type"] in {"frame", "apply"} and record.get("id") == number:
                yield record

    def rewrite(self, row: Record, **changes: Any) -> None:
        """Change a row's key or content in all its records except the calls that sent it."""
        row |= changes
        known: dict[str, tuple[str, ...]] = {
            "final_api": ("seq", "id", "user", "key", "content"),
            "ok": ("seq", "id", "key", "content"),
        }
        for record in self.records:
            columns = known.get(record["type"], ())
            for entry in record.get("messages", ()) if columns else ():
                if entry[1] == row["id"]:
                    entry[:] = [row[column] for column in columns]
        for record in self.mentions(row["id"]):
            if record["content"]:
                record["content"] = row["content"]

    def shift(self, after: float, seconds: float) -> None:
        """Move everything after a time so many seconds later."""
        for record in self.records:
            if record["at"] > after:
                record["at"] += seconds
