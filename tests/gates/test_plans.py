"""Every statement of the service, and every one inside the functions, goes through an index."""

from collections.abc import Callable
from typing import Any

import pytest

from chat.sql import Call, load_statements
from tests.gates.plans import ExplainedSession, PlanCache
from tests.unit.test_statements import CALLS, name_of

ROOM, MESSAGE = "chat_room_pkey", "chat_message_pkey"
MEMBER_OF_ROOM, ROOMS_OF_USER = "chat_member_once_per_room", "chat_member_rooms_of_user"
RANKED, BAN = "chat_member_ranked", "chat_ban_once"
MESSAGE_OF_ROOM = "chat_message_seq_once_per_room"
EVENT, EVENT_OF_ROOM = "chat_event_pkey", "chat_event_version_once_per_room"
EXTERNAL_ID = "chat_room_external_id_once"
OUTBOX, NAMES = "chat_outbox_pkey", "chat_room_search_text"
DELETION_OPEN = "chat_room_deletion_open"
REVOCATION = "chat_revocation_pkey"
BAN_OF_ROOM = "chat_ban_of_room"
LISTENER, UNTIL = "chat_listener_pkey", "chat_listener_until"
JOIN_COUNT = "chat_join_count_pkey"
REPORT, REPORTS_OF_USER = "chat_report_pkey", "chat_report_of_user"
REPORT_ONCE, OPEN_OF_MESSAGE = "chat_report_once", "chat_report_open_of_message"
AUDIT = {"chat_audit_pkey", *(f"chat_audit_of_{of}" for of in ("room", "user", "actor", "action"))}
WORD = "chat_word_skeleton_key"
DECISION_OF_REPORT = "chat_decision_of_report"
BAN = "chat_ban_once"
INVITE, INVITE_OF_ROOM = "chat_invite_pkey", "chat_invite_of_room"
BLOCK, DIRECT = "chat_block_once", "chat_room_direct_key_once"
# The indexes of our tables that each call reads through, with what it does inside the functions.
INDEXES: dict[str, set[str]] = {
    "accept_invite": {
        INVITE,
        ROOM,
        MEMBER_OF_ROOM,
        ROOMS_OF_USER,
        LISTENER,
        JOIN_COUNT,
        BAN,
        BAN_OF_ROOM,
    },
    "create_invite": {ROOM, MEMBER_OF_ROOM},
    "find_invite": {INVITE, ROOM},
    "list_invites": {ROOM, MEMBER_OF_ROOM, INVITE_OF_ROOM},
    "list_invites_backwards": {ROOM, MEMBER_OF_ROOM, INVITE_OF_ROOM},
    "revoke_invite": {ROOM, MEMBER_OF_ROOM, INVITE_OF_ROOM},
    "accept_identity": {"chat_revocation_changes"},
    "add_members": {ROOM, MEMBER_OF_ROOM, LISTENER, BAN, BAN_OF_ROOM},
    "decide_report": {
        *(ROOM, MESSAGE, MEMBER_OF_ROOM, LISTENER, REPORT, OPEN_OF_MESSAGE, DECISION_OF_REPORT),
    },
    "delete_word": {WORD},
    "find_sent": {MEMBER_OF_ROOM, "chat_message_client_id_once"},
    "find_word": {WORD},
    "find_report": {REPORT, MESSAGE, MESSAGE_OF_ROOM, REPORTS_OF_USER, DECISION_OF_REPORT},
    "create_room": {ROOM, MEMBER_OF_ROOM, MESSAGE_OF_ROOM, LISTENER, BAN, BLOCK, BAN_OF_ROOM},
    "change_room": {ROOM, MEMBER_OF_ROOM, LISTENER, MESSAGE_OF_ROOM},
    "continue_room_deletion": {
        *(DELETION_OPEN, "chat_room_deletion_pkey", EVENT, EVENT_OF_ROOM, MESSAGE, MESSAGE_OF_ROOM),
        *("chat_report_of_room", "chat_report_pkey", DECISION_OF_REPORT, ROOM),
        *("chat_ban_of_room", "chat_ban_pkey"),
    },
    "delete_room": {
        *(ROOM, MEMBER_OF_ROOM, LISTENER, "chat_room_key_pkey", "chat_invite_of_room"),
    },
    "find_room_deletion": {"chat_room_deletion_room_id_key"},
    "is_room_deletion_open": {DELETION_OPEN},
    "delete_message": {ROOM, MESSAGE, MEMBER_OF_ROOM, LISTENER},
    "approach_room": {
        *(ROOM, EXTERNAL_ID, MEMBER_OF_ROOM, RANKED, LISTENER, BAN, BAN_OF_ROOM, MESSAGE_OF_ROOM),
    },
    "find_room_by_external_id": {ROOM, EXTERNAL_ID, MEMBER_OF_ROOM, MESSAGE_OF_ROOM},
    "preview_wanted_room": {EXTERNAL_ID, MEMBER_OF_ROOM, RANKED, BAN, MESSAGE_OF_ROOM},
    "find_member": {ROOM, MEMBER_OF_ROOM},
    "find_room": {ROOM, MEMBER_OF_ROOM, MESSAGE_OF_ROOM},
    "is_copy": set(),
    "join_room": {ROOM, MEMBER_OF_ROOM, ROOMS_OF_USER, LISTENER, JOIN_COUNT, BAN, BAN_OF_ROOM},
    "ban_from_room": {ROOM, MEMBER_OF_ROOM, LISTENER, BAN},
    "ban_from_all_rooms": {BAN, ROOMS_OF_USER},
    "list_rooms_to_leave": {ROOM, ROOMS_OF_USER},
    "remove_banned_member": {ROOM, BAN},
    "delete_recent_messages": {
        ROOM,
        MESSAGE,
        "chat_message_of_user",
        MEMBER_OF_ROOM,
        LISTENER,
    },
    "lift_ban": {BAN, ROOMS_OF_USER},
    "find_ban": {BAN},
    "list_bans": {ROOM, MEMBER_OF_ROOM, BAN_OF_ROOM},
    "list_bans_backwards": {ROOM, MEMBER_OF_ROOM, BAN_OF_ROOM},
    "block_user": {BLOCK, DIRECT},
    "unblock_user": {BLOCK, DIRECT},
    "list_blocks": {BLOCK},
    "list_blocks_backwards": {BLOCK},
    "keep_listeners": {LISTENER, REVOCATION},
    "list_audit": AUDIT,
    "list_audit_backwards": AUDIT,
    "list_decided_reports": {"chat_report_decided"},
    "list_decided_reports_backwards": {"chat_report_decided"},
    "leave_room": {ROOM, MEMBER_OF_ROOM, LISTENER},
    "list_events": {ROOM, MEMBER_OF_ROOM, EVENT_OF_ROOM, MESSAGE},
    "list_members": {ROOM, MEMBER_OF_ROOM},
    "list_members_backwards": {ROOM, MEMBER_OF_ROOM},
    "list_ranked_members": {ROOM, MEMBER_OF_ROOM, RANKED},
    "list_ranked_members_backwards": {ROOM, MEMBER_OF_ROOM, RANKED},
    "list_messages": {ROOM, MEMBER_OF_ROOM, MESSAGE, MESSAGE_OF_ROOM},
    "list_open_reports": {"chat_report_open"},
    "list_open_reports_backwards": {"chat_report_open"},
    "list_running_writes": set(),
    "list_revocations": {"chat_revocation_changes"},
    "list_words": {WORD},
    "list_rooms": {ROOM, ROOMS_OF_USER, MEMBER_OF_ROOM, MESSAGE_OF_ROOM},
    "list_rooms_backwards": {ROOM, ROOMS_OF_USER, MEMBER_OF_ROOM, MESSAGE_OF_ROOM},
    "open_direct_room": {
        ROOM,
        DIRECT,
        MEMBER_OF_ROOM,
        MESSAGE_OF_ROOM,
        LISTENER,
        BAN,
        BLOCK,
        BAN_OF_ROOM,
    },
    "prune_counts": {JOIN_COUNT, "chat_use_count_once"},
    "prune_events": {EVENT},
    "prune_listeners": {LISTENER, UNTIL},
    "prune_revocations": {REVOCATION, "chat_revocation_not_before"},
    "put_word": {WORD, "chat_word_pkey"},
    "read_readiness": {OUTBOX},
    "remove_member": {ROOM, MEMBER_OF_ROOM, LISTENER},
    "rename_room": {ROOM, MEMBER_OF_ROOM, LISTENER},
    "report_message": {ROOM, MESSAGE, MEMBER_OF_ROOM, REPORT_ONCE, "chat_use_count_once"},
    "report_words": {ROOM, MESSAGE, REPORT_ONCE},
    "report_user": {ROOM, MEMBER_OF_ROOM, REPORT_ONCE, "chat_use_count_once"},
    "revoke_tokens": {REVOCATION},
    "search_rooms": {ROOM, ROOMS_OF_USER, MEMBER_OF_ROOM, MESSAGE_OF_ROOM, NAMES},
    "search_rooms_backwards": {ROOM, ROOMS_OF_USER, MEMBER_OF_ROOM, MESSAGE_OF_ROOM, NAMES},
    "send_messages": {ROOM, MEMBER_OF_ROOM, LISTENER},
    "settle_listeners": {LISTENER},
    "update_member": {ROOM, MEMBER_OF_ROOM, LISTENER, RANKED, "chat_member_pkey"},
}
WHOLE = {"start_over"}
"""Changes every room, and is run once after a restore."""
SINGLE_ROW = {"chat_installation"}

GATED = [call for call in CALLS if call.name not in WHOLE]


def test_every_statement_has_its_indexes_here() -> None:
    """A new statement says through which indexes it reads."""
    assert INDEXES.keys() == load_statements().keys() - WHOLE


@pytest.mark.parametrize("call", GATED, ids=name_of)
def test_a_call_reads_through_the_indexes_that_are_meant(
    generic: ExplainedSession, call: Call[Any]
) -> None:
    """The plan that a session keeps uses these indexes and no others."""
    used = generic.run(call)

    ours = {index for index in used.indexes if index.startswith("chat_")}
    assert ours == INDEXES[call.name]


@pytest.mark.parametrize("plans", ["force_generic_plan", "force_custom_plan"])
@pytest.mark.parametrize("call", GATED, ids=name_of)
def test_a_call_scans_no_table(
    explain: Callable[[PlanCache], ExplainedSession], call: Call[Any], plans: PlanCache
) -> None:
    """No plan reads every row of a table, whether it is for any values or for the ones given."""
    used = explain(plans).run(call)

    ours = {table for table in used.scanned if table.startswith("chat_")}
    assert ours <= SINGLE_ROW
