"""Why a message did or did not reach a user: `manage.py explain`.

Each fact has one of a few states, so that the verdict follows from the facts by a table. What the
database cannot know is said as such, with the place that does know it.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from chat.conf import ChatConfiguration
from chat.doctor.evidence import Evidence, Message

VERDICTS: Mapping[str, str] = {
    "not_a_member": "The user was no member of the room at the message's version, so the message "
    "was not for this user.",
    "membership_unknown": "The log does not go back far enough to say whether the user was a "
    "member then.",
    "waiting": "The event for this user still waits in the outbox: the realtime server has not "
    "taken it yet.",
    "not_listening": "The user was a member, but was not listening: no token for the realtime "
    "server was valid. The API does not publish to such a user, whose client reads the message "
    "from the API when it comes back.",
    "listening_unknown": "The user was a member. Whether the user was listening then cannot be "
    "told from the database any more.",
    "handed_over": "The event was published to this user, and the realtime server has taken it. "
    "Whether the user's connection received it, the database cannot know.",
}
"""What became of a message for a user. Codes are never renamed."""

KEPT_AFTER_LAPSE = timedelta(days=2)
"""`manage.py prune_events` deletes a listener so long after `until`, or later."""
EVERYONE = timedelta(days=1)
"""For how long an upgrade and `after_restore` publish to everyone."""
RENEWED = 1.25
"""`keep_listeners` makes a user a listener for so many times `listening_seconds`."""


class Fact(msgspec.Struct, frozen=True):
    """One thing that is known, or that cannot be known (`state` is then `unknown`)."""

    subject: str
    state: str
    sentence: str


class Explanation(msgspec.Struct, frozen=True):
    """What `manage.py explain` prints."""

    message: int
    user: str
    room: int
    version: int | None
    verdict: str
    meaning: str
    facts: list[Fact]
    look_at: list[str]


def explain(evidence: Evidence, configuration: ChatConfiguration) -> Explanation:
    """Return the facts and what follows from them."""
    message = evidence.message
    member = _explain_membership(evidence)
    audience = _explain_audience(evidence, configuration)
    outbox = _explain_outbox(evidence)
    facts = [
        _explain_message(evidence),
        _explain_version(message),
        member,
        audience,
        outbox,
        _explain_realtime(evidence),
        *_explain_revocation(evidence),
    ]
    verdict = _judge(member.state, audience.state, outbox.state)
    return Explanation(
        evidence.message_id,
        evidence.user_id,
        message.room_id,
        message.version,
        verdict,
        VERDICTS[verdict],
        facts,
        _advise(verdict, evidence),
    )


def _judge(member: str, audience: str, outbox: str) -> str:
    if member == "no":
        return "not_a_member"
    if outbox == "waiting":
        return "waiting"
    if member == "unknown":
        return "membership_unknown"
    return {"no": "not_listening", "unknown": "listening_unknown"}.get(audience, "handed_over")


def _explain_message(evidence: Evidence) -> Fact:
    message = evidence.message
    by = "this user" if message.sender == evidence.user_id else f"`{message.sender}`"
    sent = (
        f"Message {evidence.message_id} is seq {message.seq} of room {message.room_id}; {by} sent "
        f"it at {_at(message.created_at)}."
    )
    if message.deleted_at is None:
        return Fact("message", "stored", sent)
    gone = f" It was deleted at {_at(message.deleted_at)}: since then it is shown without its text."
    return Fact("message", "deleted", sent + gone)


def _explain_version(message: Message) -> Fact:
    if message.version is not None:
        sentence = f"Its event has version {message.version}; the room is at {message.head}."
        return Fact("event", "logged", sentence)
    begins = "is empty" if message.first_version is None else f"begins at {message.first_version}"
    sentence = (
        f"Its event is not in the log any more, which {begins}: `manage.py prune_events` or "
        "`after_restore` deleted it. Clients that ask for it get 410 and read the room again."
    )
    return Fact("event", "pruned", sentence)


def _explain_membership(evidence: Evidence) -> Fact:
    if evidence.message.version is None:
        return _guess_membership(evidence.message)
    return _read_membership(evidence, evidence.message.version)


def _read_membership(evidence: Evidence, version: int) -> Fact:
    """Say from the log whether the user was a member at the version of a logged event."""
    message = evidence.message
    before = [change for change in evidence.changes if change.version <= version]
    after = [change for change in evidence.changes if change.version > version]
    if message.joined_version is not None and message.joined_version <= version:
        since = f"since version {message.joined_version} ({_at(message.joined_at)})"
        return Fact("member", "yes", f"The user is a member {since}.")
    if before and before[0].type == "user_joined":
        until = f" and left at version {after[0].version}" if after else ""
        sentence = f"The user joined at version {before[0].version}{until}: a member then."
        return Fact("member", "yes", sentence)
    if before:
        left = f"version {before[0].version} ({_at(before[0].created_at)})"
        return Fact("member", "no", f"The user left at {left}, before the message.")
    if after and after[0].type == "user_left":
        sentence = f"The user left at version {after[0].version}, later: a member then."
        return Fact("member", "yes", sentence)
    if after:
        joined = f"version {after[0].version} ({_at(after[0].created_at)})"
        return Fact("member", "no", f"The user joined at {joined}, after the message.")
    return Fact("member", "no", "The user is no member, and has neither joined nor left since.")


def _guess_membership(message: Message) -> Fact:
    """Say what can be said without the log, which may have lost a leave and a join."""
    if message.joined_version is None or message.joined_at is None:
        sentence = "The user is no member now; whether then, only the log knew."
        return Fact("member", "unknown", sentence)
    if message.joined_version <= message.seq or message.joined_at < message.created_at:
        return Fact("member", "yes", f"The user is a member since {_at(message.joined_at)}.")
    sentence = (
        f"The user is a member since {_at(message.joined_at)}, after the message; whether also "
        "before, only the log knew."
    )
    return Fact("member", "unknown", sentence)


def _explain_audience(evidence: Evidence, configuration: ChatConfiguration) -> Fact:
    moment, audience = evidence.message.moment, evidence.audience
    if configuration.audience_hours == 0:
        sentence = "CHAT_AUDIENCE_HOURS is 0 here: events are published to every member."
        return Fact("listener", "everyone", sentence)
    if audience.everyone_until is not None:
        until = audience.everyone_until
        if until - EVERYONE <= moment < until:
            sentence = f"Until {_at(until)} (`everyone_until`) events went to every member."
            return Fact("listener", "everyone", sentence)
    if audience.until is None:
        return _explain_no_listener(evidence)
    if audience.until <= moment:
        sentence = (
            f"The user's last token had ended by {_at(audience.until)}, before the message, and "
            "there was none since."
        )
        return Fact("listener", "no", sentence)
    kept = timedelta(seconds=configuration.listening_seconds * RENEWED)
    return _explain_listener(evidence, kept)


def _explain_no_listener(evidence: Evidence) -> Fact:
    message = evidence.message
    if message.now - message.moment < KEPT_AFTER_LAPSE:
        sentence = "The user has had no valid token for the realtime server since the message."
        return Fact("listener", "no", sentence)
    sentence = (
        "The user has no valid token now. A row in `chat_listener` is deleted two days after its "
        "last token, so what there was then is not known."
    )
    return Fact("listener", "unknown", sentence)


def _explain_listener(evidence: Evidence, kept: timedelta) -> Fact:
    """Say whether a listener of now, or of until a while ago, was one at the message's moment."""
    audience, moment = evidence.audience, evidence.message.moment
    assert audience.until is not None  # noqa: S101 - the caller has looked
    written = audience.until - kept
    if written <= moment:
        sentence = f"The user's tokens are kept from {_at(written)} to {_at(audience.until)}."
        return Fact("listener", "yes", sentence)
    lapsed = audience.lapsed_at
    if lapsed is not None and lapsed - kept <= moment < lapsed:
        sentence = f"The user was a listener until {_at(lapsed)}, and is one again since then."
        return Fact("listener", "yes", sentence)
    sentence = (
        f"The user's row in `chat_listener` was last written at {_at(written)}, after the message: "
        "there may have been one before, or this may have been the first token."
    )
    if lapsed is not None and lapsed <= moment:
        sentence += (
            f" The user had lapsed at {_at(lapsed)}: from then to the next token nothing was "
            "published to this user."
        )
    return Fact("listener", "unknown", sentence)


def _explain_outbox(evidence: Evidence) -> Fact:
    mine = [row for row in evidence.waiting if row.is_for_user]
    if mine:
        row = mine[0]
        age = (evidence.message.now - row.created_at).total_seconds()
        sentence = (
            f"The event for this user waits in partition {row.partition} for {age:.0f} s, with "
            f"{row.ahead} rows before it."
        )
        return Fact("outbox", "waiting", sentence)
    if evidence.waiting:
        sentence = "Rows of this event wait for other members; none that waits is for this user."
        return Fact("outbox", "waiting_for_others", sentence)
    return Fact("outbox", "drained", "No row of this event waits in the outbox.")


def _explain_realtime(evidence: Evidence) -> Fact:
    realtime = evidence.realtime
    if realtime.sessions:
        sentence = f"A realtime server is connected to the database ({realtime.sessions} sessions)."
        return Fact("realtime", "connected", sentence)
    if realtime.unnamed:
        sentence = "This role may not see the names of other sessions (`pg_read_all_stats`)."
        return Fact("realtime", "unknown", sentence)
    sentence = (
        "No session is named `centrifugo` or `besedka-gateway`: the realtime server is not "
        "connected to the database, or its address has another `application_name`."
    )
    return Fact("realtime", "not_connected", sentence)


def _explain_revocation(evidence: Evidence) -> list[Fact]:
    revocation = evidence.revocation
    if revocation is None:
        return []
    sentence = (
        f"Since {_at(revocation.changed_at)} the host's tokens that were issued to this user "
        f"before {_at(revocation.not_before)} are refused."
    )
    return [Fact("tokens", "revoked", sentence)]


def _advise(verdict: str, evidence: Evidence) -> list[str]:
    """Return where the answer is that the database does not have."""
    around, room = _at(evidence.message.moment), evidence.message.room_id
    user = evidence.user_id
    log, server = "The API's log", "The realtime server"
    waiting = ", ".join(sorted({str(row.partition) for row in evidence.waiting}))
    return {
        "waiting": [
            f"{server}: does it run, and does its log say why partition {waiting} waits?",
            "`besedka_outbox_age_seconds` by partition, and `manage.py doctor`.",
        ],
        "handed_over": [
            f"{server}'s log around {around}: was `{user}` connected?",
            f"{server}'s counter of ended connections, by code (3008: slow, 3012: no pong).",
            f"{log} after {around}: did `{user}` read the events or messages of room {room}?",
        ],
        "not_listening": [
            f"{log} before {around}: did `{user}` ask for `/api/token/`, and was refused?",
            f"{log} after {around}: did `{user}` read the messages of room {room}?",
            "A message that was sent by SQL, in the admin or by a command went to every member.",
        ],
        "listening_unknown": [
            f"{log} before {around}: did `{user}` ask for `/api/token/`, and with what status?",
            f"{log} after {around}: did `{user}` read the messages of room {room}?",
        ],
        "not_a_member": [f"{log} around {around}: requests for the members of room {room}."],
        "membership_unknown": [f"{log} before {around}: requests for the members of room {room}."],
    }[verdict]


def _at(moment: datetime | None) -> str:
    return "an unknown time" if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S UTC")
