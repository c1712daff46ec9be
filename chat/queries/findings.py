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

KINDS: Mapping[str, Kind] = {
    "database_in_recovery": _error(
        "This server is a standby or is recovering and accepts no message; ask the primary."
    ),
    "database_read_only": _error(
        "default_transaction_read_only is on: nothing can be sent. Turn it off."
    ),
    "setting_unsafe": _error(
        "With this setting a crash can lose messages that were acknowledged. Turn it on."
    ),
    "migration_missing": _error("The tables are not those of this code. Run `manage.py migrate`."),
    "function_missing": _error("A function that this code calls is not there. Run `migrate`."),
    "function_altered": _error(
        "A function's text is not the one that was installed: someone replaced it by hand. Clear "
        "the comment on the schema chat_v1, then run `migrate`."
    ),
    "functions_of_other_release": _warning(
        "The functions are another release's, as in the middle of a deploy. Else run `migrate`."
    ),
    "constraint_missing": _error("A rule of the tables is gone; make it again as it was migrated."),
    "constraint_not_in_force": _error(
        "A rule is there and not held: it was never validated, or its triggers are disabled."
    ),
    "index_missing": _error("An index is gone: what it serves reads whole tables. Make it again."),
    "index_invalid": _error("An index is never used, its building was broken off. REINDEX it."),
    "installation_missing": _error(
        "chat_installation has no row, so no event can be queued. Restore the row of a backup."
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
    "log_head": _error(f"The room's version is not the one of its last event. {_DATA}"),
    "log_gap": _error(f"The room's log has a hole, which clients ask for for ever. {_DATA}"),
    "log_messages": _error(
        f"The log does not tell each message once, in the order of the seqs. {_DATA}"
    ),
    "event_malformed": _error(f"The event's type is unknown, or it lacks what it tells. {_DATA}"),
    "event_wrong_message": _error(
        f"The event's message is gone, another's, or was not deleted as it says. {_DATA}"
    ),
    "member_count": _error("The room's member_count is not the number of its members."),
    "member_channel": _error("The member's events go to a channel that is not its user's."),
    "member_version": _error(f"The member joined at a version the room never had. {_DATA}"),
    "bumped_at": _error(f"The room's place in lists is not its last message's. {_DATA}"),
    "room_missing": _error(f"Rows refer to a room that is not there. {_DATA}"),
}
"""Every code there is. Monitoring rests on them: a code is never renamed."""
