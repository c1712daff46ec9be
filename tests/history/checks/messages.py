"""C0 to C4: the table has what was acknowledged, once and in order, and nothing else."""

from collections import defaultdict
from itertools import zip_longest
from math import inf

from tests.history.operations import Key, Send
from tests.history.rooms import Row
from tests.history.runs import Run
from tests.history.verdict import Check, Verdict


def check_finals_agree(run: Run, verdict: Verdict) -> None:
    """C0: the API shows what the table has, and neither has the text of a deleted message.

    Both final reads of each room are compared row by row.
    """
    asked = {key[0] for key in run.sends} | run.rooms.keys() | run.api.keys()
    for number in sorted(asked, key=str):
        if number not in run.rooms or number not in run.api:
            verdict.add(
                Check.FINAL_READS_AGREE,
                f"room {number} was not read at the end by both the API and SQL",
            )
            continue
        rows = run.rooms[number].rows
        stored = [[row.seq, row.id, row.user, row.key, row.content] for row in rows]
        shown = run.api[number]
        if shown != stored:
            for one, other in zip_longest(shown, stored):
                if one != other:
                    verdict.add(
                        Check.FINAL_READS_AGREE,
                        f"room {number}: the API shows {one}, the table has {other}",
                    )
                    break
        for row in rows:
            if row.deleted and row.content:
                verdict.add(
                    Check.FINAL_READS_AGREE,
                    f"room {number}: the text of the deleted message {row.id} is still there",
                )


def check_acknowledged(run: Run, verdict: Verdict) -> None:
    """C1: a message that was acknowledged, by HTTP or by SQL, is stored as it was answered.

    Each is looked up by its key and compared with every answer. Its text may be gone only if a
    deletion was requested. `check_changes` does this for other changes.
    """
    rows = _rows_by_key(run)
    for key, send in run.sends.items():
        if send.status != "ok":
            continue
        if key not in rows:
            verdict.lost += 1
            verdict.add(
                Check.CHANGES_LAST, f"lost: {_name(key)}, acknowledged as {send.answers[0]}"
            )
            continue
        _check_answer(key, send, rows[key], verdict)
        if any(row.deleted and row.id not in run.deletions for row in rows[key]):
            verdict.add(Check.CHANGES_LAST, f"{_name(key)} was deleted, which nobody requested")


def _check_answer(key: Key, send: Send, rows: list[Row], verdict: Verdict) -> None:
    """Compare the row of an acknowledged message; C3 checks that there is only one."""
    stored = {(row.id, row.seq) for row in rows}
    if not stored & set(send.answers):
        verdict.add(
            Check.CHANGES_LAST,
            f"renumbered: {_name(key)} was {send.answers[0]}, is {min(stored)} (id, seq)",
        )
    for row in rows:
        if not row.deleted and row.content != send.content:
            verdict.add(
                Check.CHANGES_LAST,
                f"altered: {_name(key)} was {send.content!r}, is {row.content!r}",
            )


def check_phantoms(run: Run, verdict: Verdict) -> None:
    """C2: each row is a message that someone sent and that was not refused.

    Each row's key is looked up among the sends. A row for which nobody had an answer is allowed,
    because its sender could not know. It must have the text that was sent.
    """
    for room in run.rooms.values():
        for row in room.rows:
            key = (room.id, row.user, row.key)
            send = run.sends.get(key)
            if send is None:
                verdict.add(Check.NOTHING_INVENTED, f"nobody sent {_name(key)}, message {row.id}")
            elif send.status == "fail":
                verdict.add(
                    Check.NOTHING_INVENTED,
                    f"{_name(key)}, message {row.id}, is stored and was refused",
                )
            elif send.status == "info":
                verdict.recovered_info += 1
                if not row.deleted and row.content != send.content:
                    verdict.add(
                        Check.NOTHING_INVENTED,
                        f"{_name(key)} was sent as {send.content!r}, is {row}",
                    )


def check_single(run: Run, verdict: Verdict) -> None:
    """C3: one key of one sender in one room is one message, and all answers have the same id.

    The rows of each key are counted, and its different answers.
    """
    for key, rows in _rows_by_key(run).items():
        if len(rows) > 1:
            verdict.doubled += 1
            verdict.add(
                Check.ONE_KEY_ONE_MESSAGE, f"{_name(key)} is stored as {[row.id for row in rows]}"
            )
    for key, send in run.sends.items():
        if len(set(send.answers)) > 1:
            verdict.add(
                Check.ONE_KEY_ONE_MESSAGE,
                f"{_name(key)} was answered as {sorted(set(send.answers))}",
            )


def check_order(run: Run, verdict: Verdict) -> None:
    """C4: seqs are 1, 2, 3…, ids rise with them, and the order follows real time.

    Real time means: if message a was acknowledged before b was first sent, a has the smaller seq.
    The rows are read in the order of seqs with the latest `invoke` so far, M. A row that was
    complete before M was acknowledged before a message with a smaller seq was sent: a violation.
    If a pair exists (b before a by seq, a complete before b was invoked), then M is at least b's
    invoke when a is reached, so one pass finds a violation exactly when there is one.
    """
    for room in run.rooms.values():
        seqs = [row.seq for row in room.rows]
        if seqs != list(range(1, room.last_seq + 1)):
            wrong = next((n for n, seq in enumerate(seqs, start=1) if n != seq), len(seqs) + 1)
            verdict.add(
                Check.ONE_ORDER, f"room {room.id}: seqs are not 1 to {room.last_seq}: see {wrong}"
            )
        latest, latest_row, last_id = -inf, 0, 0
        for row in room.rows:
            if row.id <= last_id:
                verdict.add(
                    Check.ONE_ORDER,
                    f"room {room.id}: id {row.id} of seq {row.seq} follows {last_id}",
                )
            last_id = row.id
            send = run.sends.get((room.id, row.user, row.key))
            if send is None:
                continue
            complete = send.acknowledged_at(row.id)
            if complete < latest:
                verdict.add(
                    Check.ONE_ORDER,
                    f"room {room.id}: seq {row.seq} was acknowledged "
                    f"{latest - complete:.6f} s before seq {latest_row} was sent",
                )
            if send.invoke > latest:
                latest, latest_row = send.invoke, row.seq


def _rows_by_key(run: Run) -> dict[Key, list[Row]]:
    rows: defaultdict[Key, list[Row]] = defaultdict(list)
    for room in run.rooms.values():
        for row in room.rows:
            rows[room.id, row.user, row.key].append(row)
    return rows


def _name(key: Key) -> str:
    return f"key {key[2]} of {key[1]} in room {key[0]}"
