"""Bans, blocks, reports and what staff decided; who changed what."""

from typing import ClassVar

from django.db import models
from django.db.models import CheckConstraint, Index, Q, UniqueConstraint

from chat.conf import REASON_MAX_LENGTH, USER_ID_MAX_LENGTH, WORD_MAX_LENGTH
from chat.folding import SKELETON_MAX_LENGTH
from chat.models.fields import ExactCharField, JSONTextField
from chat.models.rooms import Room
from chat.visible import make_visible


class Ban(models.Model):
    """A user who may not be in a room, or in any room."""

    room = models.ForeignKey(Room, on_delete=models.PROTECT, null=True, db_index=False)
    """Null: all rooms of the installation."""
    user_id = ExactCharField(max_length=USER_ID_MAX_LENGTH, db_collation="C")
    until = models.DateTimeField(null=True)
    """Null: for ever."""
    reason = models.CharField(max_length=REASON_MAX_LENGTH, blank=True)
    created_by = models.CharField(max_length=USER_ID_MAX_LENGTH, db_collation="C")
    """The moderator's id, the service's `sub`, or the name of the member of staff."""
    created_at = models.DateTimeField()

    class Meta:
        db_table = "chat_ban"
        constraints: ClassVar = [
            UniqueConstraint(
                fields=["user_id", "room"], name="chat_ban_once", nulls_distinct=False
            ),
        ]
        indexes: ClassVar = [Index(fields=["room", "user_id"], name="chat_ban_of_room")]

    def __str__(self) -> str:
        return f"{make_visible(self.user_id)} in {self.room_id or 'all rooms'}"


class Block(models.Model):
    """A user who wants nothing to do with another one."""

    user_id = ExactCharField(max_length=USER_ID_MAX_LENGTH, db_collation="C")
    blocked_id = ExactCharField(max_length=USER_ID_MAX_LENGTH, db_collation="C")
    created_at = models.DateTimeField()

    class Meta:
        db_table = "chat_block"
        constraints: ClassVar = [
            UniqueConstraint(fields=["user_id", "blocked_id"], name="chat_block_once"),
        ]
        indexes: ClassVar = [Index(fields=["blocked_id", "user_id"], name="chat_block_of_blocked")]

    def __str__(self) -> str:
        return f"{make_visible(self.user_id)} blocks {make_visible(self.blocked_id)}"


class Report(models.Model):
    """A message, or a user, that a user brought to the attention of staff."""

    room = models.ForeignKey(Room, on_delete=models.PROTECT, null=True, db_index=False)
    message_id = models.BigIntegerField(null=True)
    user_id = ExactCharField(max_length=USER_ID_MAX_LENGTH, db_collation="C")
    """Who is reported: the sender of the message, or the user."""
    reported_by = models.CharField(max_length=USER_ID_MAX_LENGTH, db_collation="C")
    """A user; `~words` where the word list did it."""
    reason = models.CharField(max_length=REASON_MAX_LENGTH)
    created_at = models.DateTimeField()
    decision = models.CharField(max_length=8, null=True)  # noqa: DJ001 - null: open
    """The last decision: `keep`, `delete`, `mute` or `ban`; null while the report is open."""
    decided_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "chat_report"
        constraints: ClassVar = [
            UniqueConstraint(
                fields=["reported_by", "user_id", "message_id", "room"],
                name="chat_report_once",
                nulls_distinct=False,
            ),
        ]
        indexes: ClassVar = [
            Index(fields=["id"], name="chat_report_open", condition=Q(decision__isnull=True)),
            Index(fields=["user_id", "id"], name="chat_report_of_user"),
            Index(fields=["room", "id"], name="chat_report_of_room"),
            Index(fields=["id"], name="chat_report_decided", condition=Q(decision__isnull=False)),
            Index(
                fields=["message_id", "id"],
                name="chat_report_open_of_message",
                condition=Q(decision__isnull=True, message_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{make_visible(self.user_id)} by {make_visible(self.reported_by)}"


class Decision(models.Model):
    """What was decided about a report, by whom; never changed."""

    report = models.ForeignKey(
        Report, on_delete=models.PROTECT, related_name="decisions", db_index=False
    )
    decision = models.CharField(max_length=8)
    note = models.CharField(max_length=REASON_MAX_LENGTH, blank=True)
    until = models.DateTimeField(null=True)
    """Until when the user is muted or banned; null: for ever, or the decision was another one."""
    decided_by = models.CharField(max_length=USER_ID_MAX_LENGTH + 32, db_collation="C")
    """The service's `sub`, or the name of the member of staff."""
    decided_at = models.DateTimeField()

    class Meta:
        db_table = "chat_decision"
        indexes: ClassVar = [Index(fields=["report", "id"], name="chat_decision_of_report")]

    def __str__(self) -> str:
        return f"{self.decision} by {make_visible(self.decided_by)}"


class Word(models.Model):
    """A word that is not sent as it is."""

    word = models.CharField(max_length=WORD_MAX_LENGTH)
    skeleton = ExactCharField(max_length=SKELETON_MAX_LENGTH, db_collation="C", unique=True)
    """The word as texts are compared with it: without case, marks and confusable letters."""
    action = models.CharField(max_length=6)
    """`refuse`, `mask` or `report`."""

    class Meta:
        db_table = "chat_word"
        constraints: ClassVar = [
            CheckConstraint(
                condition=Q(action__in=["refuse", "mask", "report"]), name="chat_word_action_known"
            ),
        ]

    def __str__(self) -> str:
        return make_visible(self.word)


class AuditEntry(models.Model):
    """Who changed a role, a ban, a room or another right, when and from where; never changed."""

    created_at = models.DateTimeField()
    actor = models.CharField(max_length=USER_ID_MAX_LENGTH + 32, db_collation="C")
    actor_kind = models.CharField(max_length=7)
    """`user`, `service` or `staff`."""
    address = models.CharField(max_length=64, blank=True)
    """The network address of the request, where there was one."""
    action = models.CharField(max_length=32)
    room_id = models.BigIntegerField(null=True)
    user_id = models.CharField(max_length=USER_ID_MAX_LENGTH, db_collation="C", null=True)  # noqa: DJ001 - null: about a room
    details = JSONTextField(null=True)

    class Meta:
        db_table = "chat_audit"
        verbose_name = "audit entry"
        verbose_name_plural = "audit entries"
        indexes: ClassVar = [
            Index(fields=["room_id", "id"], name="chat_audit_of_room"),
            Index(fields=["user_id", "id"], name="chat_audit_of_user"),
            Index(fields=["actor", "id"], name="chat_audit_of_actor"),
            Index(fields=["action", "id"], name="chat_audit_of_action"),
        ]

    def __str__(self) -> str:
        return f"{self.action} by {make_visible(self.actor)}"
