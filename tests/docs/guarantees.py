"""Writes docs/guarantees.md: each promise in the words of the tests that prove it.

    python -m tests.docs.guarantees

The figures come from docs/faults.json, which `python -m tests.faults --report docs/faults.json`
writes. A test requires that the page is what this would write now.
"""

import ast
import json
import os
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs" / "guarantees.md"
REPORT = PROJECT / "docs" / "faults.json"

# What is promised, and the tests that prove it, by file. The page has their docstrings.
PROMISES: dict[str, dict[str, tuple[str, ...]]] = {
    "An acknowledged message is never lost, altered or renumbered": {
        "launcher/test_kills": ("no_kill_loses_or_doubles_an_acknowledged_message",),
        "concurrency/test_lost_sessions": (
            "sends_during_a_storm_of_kills_resolve_to_one_message_each",
        ),
        "contract/test_outages": ("it_stops_after_finishing_what_it_began",),
    },
    "A message that is sent again with its key is the same message, at any time": {
        "concurrency/test_equal_keys": (
            "two_equal_sends_are_one_message",
            "many_requests_with_one_key",
            "a_send_that_was_undone_never_was",
        ),
        "concurrency/test_send_queue_ends": (
            "what_was_committed_without_an_answer_is_stored_once",
        ),
        "concurrency/test_deletions_and_renames": (
            "a_retry_during_a_deletion_is_the_deleted_message",
        ),
        "contract/test_send_message": ("a_retry_of_an_ex_member_reveals_nothing_new",),
    },
    "A room has one order, without gaps, which follows real time": {
        "concurrency/test_hot_room": ("a_hot_room_is_in_order",),
        "concurrency/test_transactions": ("what_is_rolled_back_leaves_no_trace",),
        "property/test_every_history": ("every_history_through_the_functions",),
        "conformance/test_outbox": ("order_of_publications",),
    },
    "An event is sent to exactly the members at its version": {
        "concurrency/test_members_and_senders": (
            "a_send_after_a_join_reaches_the_joiner",
            "a_send_after_a_leave_does_not_reach_the_leaver",
        ),
        "concurrency/test_bulk_joins": ("beyond_20000_deliveries_only_the_last_event_is_queued",),
    },
    "Every change has its event, and every event its change": {
        "concurrency/test_transactions": (
            "a_message_commits_with_the_hosts_own_rows",
            "a_message_is_undone_with_the_hosts_own_rows",
        ),
        "conformance/test_crashes": (
            "kill_between_publishing_and_deleting",
            "rows_written_during_an_outage",
        ),
    },
    "Every client ends in the state that the service has, whatever it missed": {
        "client/test_convergence": ("any_order_of_deliveries_converges",),
        "client/test_device": ("a_realtime_server_may_lose_its_history",),
        "client/test_device_races": ("a_resync_while_another_runs",),
        "client/test_slow": ("a_device_that_cannot_recover_reads_its_rooms_instead",),
        "client/test_deleted_text": ("a_client_that_recovers_ends_without_a_deleted_text",),
        "faults/test_restore": ("every_client_converges_after_an_older_backup_was_restored",),
    },
    "Every request is answered within five seconds, and a failure is a 503": {
        "contract/test_outages": ("without_a_database_it_says_so_in_time",),
        "concurrency/test_busy_rooms": ("each_of_many_sends_to_a_locked_room_is_told_so_in_time",),
        "concurrency/test_send_queue_locks": ("locked_rooms_do_not_delay_others",),
        "concurrency/test_bulkhead": ("whatever_waits_for_a_locked_room_delays_nobody_else",),
        "concurrency/test_send_queue": ("a_full_queue_answers_503",),
    },
    "A release fails no request": {
        "contract/test_outages": ("a_request_on_an_idle_connection_is_answered_while_it_stops",),
        "concurrency/test_migrate": ("two_at_once_migrate_an_empty_database_once",),
    },
    "The tests themselves are tested: they find defects that are put in on purpose": {
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
- That a commit survives a power loss on a disk that reports a write before it is done. The tests
  kill processes, not machines; `doctor` checks that `fsync` and the like are on.
- Reads from a replica: they may be late, and a client that reads one may miss events.
- An order between rooms, or an order by time.
- Events for a client that is offline for longer than the log is kept (90 days by default): it gets
  410, and reads its rooms again.
- That a deleted text is gone from Centrifugo's history at once: a client that recovers can receive
  it, and then the event that deletes it ([operations.md](operations.md#deleted-texts)).
- That an event is published only once: after a crash it can come again, with the same version.
- An answer within five seconds if the client's own network fails.
- That a connection stays open while it is idle. A worker that stops closes it after a second; a
  client that sends a request at that moment gets no answer and has to send it again.
- Several Centrifugo servers without a broker between them: each row goes to only one of them.
- What was acknowledged after a backup, if that backup has to be restored.
"""
INTRODUCTION = """\
Each promise is followed by the docstrings of the tests that prove it, and the command that runs
them. The commands need what `make check` installs."""
FAULTS = """\
`make faults` causes each fault three times under traffic: eight senders, guests who join and leave,
staff who delete messages and rename rooms, nine devices. An outsider tries to read and write, and
must get 404. Afterwards a checker compares what was acknowledged, what is stored, and what each
device received, applied and held, and `doctor` examines the database. Each trial requires a sign
that its fault happened. To run one fault:
`.venv/bin/python -m tests.faults --only "PostgreSQL killed"`.

The checker requires of every trial:

{checks}

The last run of each, on {processors} shared cores, of {revisions}: {kinds} kinds of fault,
{trials} trials, **{checked:,} acknowledged sends checked, {lost} lost, {doubled} doubled,
{leaked} leaked**, every bound kept.
*Checked* counts acknowledged sends over HTTP; sends by SQL are checked too. *Rest* is the longest
time from the end of a fault, including 1.5 s of traffic, until no work was left. *Silence* is the
longest time without an acknowledged send over HTTP. No sender waited for more than five seconds
longer than that bound.

| fault | realtime | what holds | checked | rest, s (bound) | silence, s (bound) |
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
    from tests.faults.catalogue import ALL  # noqa: PLC0415 - needs Django to be set up
    from tests.history.verdict import Check  # noqa: PLC0415 - the same

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
    head = FAULTS.format(
        checks="\n".join(f"- {check};" for check in Check)[:-1] + ".",
        processors=report["processors"],
        kinds=kinds,
        revisions=revisions,
        **sums,
    )
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
