"""Writes docs/guarantees.md: each promise in the words of the test that proves it.

    python -m tests.docs.guarantees

The figures come from docs/faults.json, which `python -m tests.faults --report docs/faults.json`
writes. A test holds that the page is what this would write now.
"""

import ast
import json
import os
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs" / "guarantees.md"
REPORT = PROJECT / "docs" / "faults.json"

# What is promised, and the tests that prove it, by file: what they say stands on the page.
PROMISES: dict[str, dict[str, tuple[str, ...]]] = {
    "An acknowledged message is never lost, altered or renumbered": {
        "launcher/test_kills": ("no_kill_loses_or_doubles_an_acknowledged_message",),
        "concurrency/test_lost_sessions": (
            "sends_during_a_storm_of_kills_resolve_to_one_message_each",
        ),
        "contract/test_outages": ("it_stops_after_finishing_what_it_began",),
    },
    "A message that is sent again with its key is the same message, for ever": {
        "concurrency/test_equal_keys": (
            "two_equal_sends_are_one_message",
            "many_requests_with_one_key",
            "a_send_that_was_undone_never_was",
        ),
        "concurrency/test_deletions_and_renames": (
            "a_retry_during_a_deletion_is_the_deleted_message",
        ),
    },
    "A room has one order, without gaps, and it never contradicts real time": {
        "concurrency/test_hot_room": ("a_hot_room_is_in_order",),
        "concurrency/test_transactions": ("what_is_rolled_back_leaves_no_trace",),
        "property/test_every_history": ("every_history_through_the_functions",),
        "conformance/test_outbox": ("order_of_publications",),
    },
    "An event goes to exactly those who are members at its version": {
        "concurrency/test_members_and_senders": (
            "a_send_after_a_join_reaches_the_joiner",
            "a_send_after_a_leave_does_not_reach_the_leaver",
        ),
        "concurrency/test_bulk_joins": ("beyond_20000_deliveries_only_the_last_event_is_queued",),
    },
    "There is no change without its event, and no event without its change": {
        "concurrency/test_transactions": (
            "a_message_commits_with_the_hosts_own_rows",
            "a_message_is_undone_with_the_hosts_own_rows",
        ),
        "conformance/test_crashes": (
            "kill_between_publishing_and_deleting",
            "rows_written_during_an_outage",
        ),
    },
    "Every client comes to hold what the service holds, whatever it missed": {
        "client/test_convergence": ("any_order_of_deliveries_converges",),
        "client/test_device": ("a_realtime_server_may_lose_its_history",),
        "client/test_device_races": ("a_resync_while_another_runs",),
        "faults/test_restore": ("every_client_converges_after_an_older_backup_was_restored",),
    },
    "Nobody waits for longer than five seconds, and a failure is a 503 that says so": {
        "contract/test_outages": ("without_a_database_it_says_so_in_time",),
        "concurrency/test_busy_rooms": ("each_of_many_sends_to_a_locked_room_is_told_so_in_time",),
    },
    "A release fails no request": {
        "contract/test_outages": ("a_request_on_an_idle_connection_is_answered_while_it_stops",),
        "concurrency/test_migrate": ("two_at_once_migrate_an_empty_database_once",),
    },
    "What proves all this is itself seen to catch what is wrong": {
        "history/test_planted": ("what_is_wrong_is_found_by_its_check",),
        "faults/test_sabotage": (
            "a_room_that_is_not_locked_is_found",
            "a_key_that_is_not_looked_up_is_found",
            "an_outbox_written_after_the_commit_is_found",
            "keys_without_the_epoch_are_found",
            "a_client_that_drops_no_repeated_event_is_found",
            "events_sent_to_a_user_who_left_are_found",
        ),
    },
}

NOT_PROMISED = """\
- That a commit survives the loss of power on a disk that lies about having written. Processes are
  killed here, machines are not; `fsync` and its like are only seen to be on (`doctor`).
- Reads from a replica: they may be late, and a client that reads one may miss what it was told.
- An order between rooms, or by time.
- Delivery to a client that stays away for longer than the log is kept (90 days by default): it is
  told 410, and reads its rooms anew.
- That an event is published once: after a crash it can come again, with the same version.
- An answer within five seconds where the client's own network is at fault.
- Several Centrifugo servers without a broker between them: each row goes to one of them only.
- What was acknowledged between a backup and the loss of what it is a backup of.
"""
INTRODUCTION = """\
Each promise stands in the words of the tests that prove it. Their commands need what `make check`
installs."""
FAULTS = """\
`make faults` brings each about three times under traffic: eight senders, guests who join and leave,
staff who delete and rename, nine devices. A checker then compares what was acknowledged, what is
stored, and what each device received, applied and held; a stranger knocks and must be told
nothing; `doctor` looks at the database. Each fault is asked for a sign that it happened. One alone:
`.venv/bin/python -m tests.faults --only "PostgreSQL killed"`.

The last run of each, on {processors} shared cores, of {revisions}: {kinds} kinds of fault,
{trials} trials, **{checked:,} acknowledged sends checked, {lost} lost, {doubled} doubled,
{leaked} leaked**, every bound kept.
*Checked* are sends over HTTP that were acknowledged; the host's own by SQL are judged too.
*Rest* is the longest time from a fault's end, 1.5 s of traffic included, until nothing was under
way any more; *silence* the longest time without any acknowledged send over HTTP. No sender ever
waited for more than five seconds longer than that bound.

| fault | realtime | what holds all the same | checked | rest, s (bound) | silence, s (bound) |
| --- | --- | --- | ---: | ---: | ---: |
"""


def write_page() -> str:
    """Return the page."""
    parts = [
        "# What is guaranteed, and how it is proven",
        "<!-- Written by `python -m tests.docs.guarantees`; change the tests, not this page. -->",
        INTRODUCTION,
        *map(_describe_promise, PROMISES.items()),
        "## In faults",
        _describe_faults(json.loads(REPORT.read_text(encoding="utf-8"))),
        "## What is not promised",
        NOT_PROMISED,
    ]
    return "\n\n".join(parts)


def read_sentence(path: str, name: str) -> str:
    """Return the first paragraph of a test's docstring.

    Raises LookupError where there is no such test.
    """
    tree = ast.parse((PROJECT / path).read_text(encoding="utf-8"))
    for item in ast.walk(tree):
        if isinstance(item, ast.FunctionDef) and item.name == name:
            return " ".join((ast.get_docstring(item) or "").split("\n\n")[0].split())
    raise LookupError(f"There is no test {name} in {path}.")


def _describe_promise(promise: tuple[str, dict[str, tuple[str, ...]]]) -> str:
    title, proofs = promise
    paths = {file: f"tests/{file}.py" for file in proofs}
    sentences = [
        f"- {read_sentence(paths[file], f'test_{name}')}"
        for file, names in proofs.items()
        for name in names
    ]
    command = f"`.venv/bin/pytest {' '.join(paths.values())}`"
    return "\n".join([f"## {title}", "", *sentences, "", command])


def _describe_faults(report: dict[str, Any]) -> str:
    from tests.faults.catalogue import ALL  # noqa: PLC0415 - Django is set up by now

    lines: list[dict[str, Any]] = report["lines"]
    guarantees = {fault.name: fault.guarantee for fault in ALL}
    sums = {
        name: sum(line[name] for line in lines)
        for name in ("trials", "checked", "lost", "doubled", "leaked")
    }
    kinds = len({line["fault"] for line in lines})
    revisions = ", ".join(sorted({f"`{line['revision']}`" for line in lines}))
    rows = [
        " | ".join(
            [
                f"| {line['fault']} | {line['realtime']} | {guarantees[line['fault']]}",
                f"{line['checked']:,}",
                f"{line['rest']} ({line['rest_within']:g})",
                f"{line['silent']} ({line['silence_within']:g}) |",
            ]
        )
        for line in lines
    ]
    head = FAULTS.format(processors=report["processors"], kinds=kinds, revisions=revisions, **sums)
    return head + "\n".join(rows)


def main() -> None:
    """Write the page."""
    PAGE.write_text(write_page(), encoding="utf-8")


if __name__ == "__main__":
    os.environ["DEBUG"] = "1"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.settings")
    import django

    django.setup()
    main()
