"""What can be wrong with a database, each with a stable code."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

Severity = Literal["error", "warning"]
Place = Mapping[str, Any]


class Found(msgspec.Struct, frozen=True):
    """So many places of one code, some of them named by their ids."""

    code: str
    count: int
    places: list[Place]


class Kind(msgspec.Struct, frozen=True):
    """How bad it is, and in a sentence what it means and what to do."""

    severity: Severity
    meaning: str


def _error(meaning: str) -> Kind:
    return Kind("error", meaning)


def _warning(meaning: str) -> Kind:
    return Kind("warning", meaning)


_DATA = "Find out who wrote past the functions, or restore a backup."
_LOG = (
    "Find out who wrote past the functions; `manage.py after_restore` empties the log and makes "
    "every client read its rooms anew."
)

KINDS: Mapping[str, Kind] = {
    "database_in_recovery": _error(
        "This server is a standby or is recovering and accepts no message; ask the primary."
    ),
    "database_read_only": _error(
        "default_transaction_read_only is on for the role that asks. Where that is the service's, "
        "nothing can be sent: turn it off. Where it is a role of monitoring's own, ignore it."
    ),
    "setting_unsafe": _error(
        "With this setting a crash can lose messages that were acknowledged. Turn it on."
    ),
    "table_altered": _error(
        "A table, a column or a sequence of this code is not there, so nothing else was looked at. "
        "Restore a backup."
    ),
    "migration_missing": _error("The tables are not those of this code. Run `manage.py migrate`."),
    "function_missing": _error("A function that this code calls is not there. Run `migrate`."),
    "function_altered": _error(
        "A function's text is not the one that was installed: someone replaced it by hand, or "
        "added another of its name (drop that). Run `COMMENT ON SCHEMA chat IS NULL` by SQL, "
        "then `manage.py migrate`."
    ),
    "functions_of_other_release": _warning(
        "The functions are another release's, as in the middle of a deploy. Else run `migrate`."
    ),
    "constraint_missing": _error(
        "A rule of the tables is gone. Make it again: `manage.py sqlmigrate chat 0001` and the "
        "later ones show the SQL."
    ),
    "constraint_not_in_force": _error(
        "A rule is there and not held: it was never validated, or its triggers are disabled."
    ),
    "index_missing": _error(
        "An index is gone: what it serves reads whole tables. Make it again, CONCURRENTLY: "
        "`manage.py sqlmigrate chat 0001` and the later ones show the SQL."
    ),
    "index_invalid": _error("An index is never used, its building was broken off. REINDEX it."),
    "installation_missing": _error(
        "chat_installation has no row, so no event can be queued. docs/operations.md has the SQL "
        "for a new one; then run `manage.py after_restore`."
    ),
    "database_copied": _error(
        "The database was restored, copied or promoted: run `manage.py after_restore`, with "
        "`--nothing-lost` if the move lost nothing."
    ),
    "sequence_behind": _error("The next insert will draw an id that is taken, and fail."),
    "outbox_late": _warning(
        "Events wait for Centrifugo, which is away, behind, or does not drain this partition."
    ),
    "outbox_undeliverable": _error(
        "Centrifugo cannot publish this row; `--repair` prints it and removes it, and clients "
        "fetch its event from the log."
    ),
    "outbox_partition": _error(
        "The row is not in its room's partition: it is never drained, or out of order."
    ),
    "outbox_epoch": _warning(
        "The row was queued under another epoch, before a restore: Centrifugo may take it for one "
        "it knows. Clients fetch the gap; it passes as the outbox drains."
    ),
    "outbox_large": _warning(
        "A hundred such events do not fit queue_max_size of Centrifugo: a client that recovers "
        "them is cut off as slow. Lower CHAT_MESSAGE_MAX_LENGTH or raise queue_max_size."
    ),
    "seq_head": _error(f"last_seq is not the seq of the room's last message. {_DATA}"),
    "seq_gap": _error(f"The seqs of the room's messages are not 1, 2, 3…: some are lost. {_DATA}"),
    "id_order": _error(f"The ids of the room's messages do not rise with their seqs. {_DATA}"),
    "deleted_text": _error(f"A message has a text and is deleted, or has none and is not. {_DATA}"),
    "log_head": _error(
        f"The room's version is not its last event's, or lower than its messages are many. {_LOG}"
    ),
    "log_gap": _error(f"The room's log has a hole: clients cannot fetch what is in it. {_LOG}"),
    "log_messages": _error(
        f"The log does not tell each message once, in the order of the seqs. {_LOG}"
    ),
    "log_deletions": _error(
        f"A message was deleted and nobody was told: clients still show its text. {_LOG}"
    ),
    "log_members": _error(
        f"The room's members are not those whom its log tells of: clients show others. {_LOG}"
    ),
    "event_malformed": _error(f"The event's type is unknown, or it lacks what it tells. {_LOG}"),
    "event_wrong_message": _error(
        f"The event's message is gone, another's, or was not deleted as it says. {_LOG}"
    ),
    "member_count": _error("The room's member_count is not the number of its members."),
    "member_channel": _error("The member's events go to a channel that is not its user's."),
    "member_version": _error(f"The member joined at a version the room never had. {_DATA}"),
    "bumped_at": _error(f"The room's place in lists is not its last message's. {_DATA}"),
    "room_missing": _error(f"Rows refer to a room that is not there. {_DATA}"),
}
"""Every code there is. Monitoring rests on them: a code is never renamed."""
