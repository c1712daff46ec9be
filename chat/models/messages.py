"""Messages, the log of events and the outbox."""

from typing import ClassVar

from django.db import models
from django.db.models import Index, UniqueConstraint

from chat.conf import CLIENT_ID_MAX_LENGTH, USER_ID_MAX_LENGTH
from chat.models.fields import JSONTextField
from chat.models.rooms import Room


class Message(models.Model):
    """A message; `seq` is its place in its room."""

    room = models.ForeignKey(Room, on_delete=models.PROTECT, db_index=False)
    seq = models.BigIntegerField()
    user_id = models.CharField(max_length=USER_ID_MAX_LENGTH, db_collation="C")
    client_id = models.CharField(max_length=CLIENT_ID_MAX_LENGTH, db_collation="C")
    """The sender's idempotency key; one made by the service begins with `~`."""
    content = models.TextField()
    """Empty once the message is deleted: the text is removed, its place in the room stays."""
    created_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True)
    digest = models.IntegerField(null=True)
    """Of a deleted text: 24 bits that tell whether a repeated send is the same as the first one."""

    class Meta:
        db_table = "chat_message"
        constraints: ClassVar = [
            UniqueConstraint(fields=["room", "seq"], name="chat_message_seq_once_per_room"),
            UniqueConstraint(
                fields=["room", "user_id", "client_id"], name="chat_message_client_id_once"
            ),
        ]
        # Staff often ask for everything that a user wrote.
        indexes: ClassVar = [Index(fields=["user_id", "id"], name="chat_message_of_user")]

    def __str__(self) -> str:
        return f"{self.room_id}#{self.seq}"


class Event(models.Model):
    """One change of a room in the durable log; bodies are composed when it is read."""

    room = models.ForeignKey(Room, on_delete=models.PROTECT, db_index=False)
    version = models.BigIntegerField()
    type = models.CharField(max_length=32)
    message = models.ForeignKey(
        Message, on_delete=models.PROTECT, null=True, db_index=False, db_constraint=False
    )
    """No constraint of the database, which would look for each deleted message in the whole log: it
    has no index by message. `manage.py doctor` compares the two."""
    user_id = models.CharField(max_length=USER_ID_MAX_LENGTH, db_collation="C", null=True)  # noqa: DJ001 - events of the room itself have no user
    joined_at = models.DateTimeField(null=True)
    first_version = models.BigIntegerField(null=True)
    """Of the last event of a call that added many users: the version of the first one. Only the
    last was published, and stands for them all."""
    details = JSONTextField(null=True)
    """What else the body shows: a JSON object of what no row has as it was then, such as a role."""
    member_count = models.IntegerField()
    bumped_at = models.DateTimeField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "chat_event"
        constraints: ClassVar = [
            UniqueConstraint(fields=["room", "version"], name="chat_event_version_once_per_room"),
        ]

    def __str__(self) -> str:
        return f"{self.room_id}@{self.version} {self.type}"


class OutboxRow(models.Model):
    """A command for Centrifugo, written in the transaction of its change."""

    method = models.TextField(default="broadcast")
    payload = JSONTextField()
    partition = models.IntegerField(default=0)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "chat_outbox"
        verbose_name = "outbox row"
        indexes: ClassVar = [Index(fields=["partition", "id"], name="chat_outbox_partition_order")]

    def __str__(self) -> str:
        return f"{self.method} {self.pk}"
