"""The plans that PostgreSQL really used, also for the statements inside the functions.

`auto_explain` writes the plan of each statement that a session runs, with the rows and pages that
it read. Here it sends them to the session itself, as notices.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg.errors import Diagnostic

from chat.sql import Call

PlanCache = Literal["force_generic_plan", "force_custom_plan"]
"""The plan for any values, which a session keeps, or one for the values given."""


@dataclass(frozen=True)
class Node:
    """One step of a plan: what it reads, and how much it read."""

    kind: str
    """PostgreSQL's name of the step, such as `Index Scan`."""
    relation: str | None
    index: str | None
    rows: int
    """How many rows it returned, in all of its runs."""
    discarded: int
    """How many rows it read and did not return."""


@dataclass(frozen=True)
class Used:
    """What the statements of one call used: the call's own, and those inside the functions."""

    statements: int
    nodes: tuple[Node, ...]
    pages: int
    """How often a page was asked for. A page that is asked for twice counts twice."""

    @property
    def indexes(self) -> set[str]:
        """The names of the indexes in the plans."""
        return {node.index for node in self.nodes if node.index}

    @property
    def scanned(self) -> set[str]:
        """The names of the tables of which a plan reads every row."""
        return {node.relation for node in self.nodes if node.kind == "Seq Scan" and node.relation}

    def count_rows(self, *relations: str) -> int:
        """Return how many rows were read of these tables, or of all."""
        return sum(
            node.rows + node.discarded
            for node in self.nodes
            if node.relation and (not relations or node.relation in relations)
        )


class ExplainedSession:
    """A session whose calls say what they used. What they change is undone."""

    def __init__(self, connection: psycopg.Connection[Any], plans: PlanCache) -> None:
        self._connection = connection
        self._seen: list[dict[str, Any]] = []
        connection.add_notice_handler(self._take)
        connection.prepare_threshold = 0
        connection.execute("LOAD 'auto_explain'")
        for name, value in {
            "auto_explain.log_level": "notice",
            "auto_explain.log_format": "json",
            "auto_explain.log_analyze": "on",
            "auto_explain.log_buffers": "on",
            "auto_explain.log_timing": "off",
            "auto_explain.log_nested_statements": "on",
            "plan_cache_mode": plans,
        }.items():
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])

    def run(self, call: Call[Any]) -> Used:
        """Run a call and undo it; return what it used."""
        with self._connection.transaction(force_rollback=True):
            self._explain("0")
            self._seen.clear()
            self._connection.execute(call.statement.encode(), call.parameters)
            # Within a transaction a query ends, and its plan is sent, when the next one begins.
            self._explain("-1")
            plans = [seen["Plan"] for seen in self._seen]
        return Used(
            statements=len(plans),
            nodes=tuple(node for plan in plans for node in _read_nodes(plan)),
            pages=sum(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] for plan in plans),
        )

    def _explain(self, milliseconds: str) -> None:
        self._connection.execute(
            "SELECT set_config('auto_explain.log_min_duration', %s, false)", [milliseconds]
        )

    def _take(self, notice: Diagnostic) -> None:
        _, found, plan = (notice.message_primary or "").partition("plan:\n")
        if found:
            self._seen.append(json.loads(plan))


def _read_nodes(plan: dict[str, Any]) -> Iterator[Node]:
    discarded = sum(plan.get(name, 0) for name in DISCARDED)
    runs = plan["Actual Loops"]
    yield Node(
        kind=plan["Node Type"],
        relation=plan.get("Relation Name"),
        index=plan.get("Index Name"),
        rows=round(plan["Actual Rows"] * runs),
        discarded=round(discarded * runs),
    )
    for part in plan.get("Plans", ()):
        yield from _read_nodes(part)


DISCARDED = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
