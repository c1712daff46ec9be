"""The tables. Python reads them here; only the functions in `chat/sql` change them."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import CheckConstraint, Index, Q, UniqueConstraint
from django.db.models.functions import Length

from chat.conf import CLIENT_ID_MAX_LENGTH, ROOM_NAME_MAX_LENGTH, USER_ID_MAX_LENGTH
from chat.visible import make_visible

models.CharField.register_lookup(Length)


class JSONTextField(models.JSONField):
    """A `json` column: kept as written, where `jsonb` would parse and reorder it."""

    def db_type(self, connection: object) -> str:  # noqa: ARG002 - Django's signature
        """Return the column type."""
        return "json"

    def from_db_value(self, value: object, *_: object) -> object:
        """Return what the driver parsed: Django parses `jsonb` itself, and leaves `json` to it."""
        return value


class ExactCharField(models.CharField):  # type: ignore[type-arg]  # not one at run time
    """A key whose index in the collation C serves LIKE: Django adds no second index for it."""

    def db_type(self, connection: object) -> str:  # noqa: ARG002 - Django's signature
        """Return the column type by the name for which Django makes no such index."""
        return f"character varying({self.max_length})"


class Installation(models.Model):
    """One row: what distinguishes this database's events, and how the outbox is divided."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    epoch = models.CharField(max_length=32)
    """Part of every idempotency key: without it a database that was reset or restored would reuse
    keys, and Centrifugo would drop its events as already published."""
    outbox_partitions = models.PositiveSmallIntegerField()
    """A room's events go to one of so many partitions, as `chat.partition_of` says. Centrifugo's
    configuration has as many consumers. Change it only while the outbox is empty."""
    identity = models.CharField(max_length=64, db_default="")
    """What the database was known by when it was last migrated or restored: where it differs from
    `chat.database_identity()`, this is a copy, and `manage.py after_restore` was not run."""
    everyone_until = models.DateTimeField(null=True)
    """Until then events are published to every member: tokens may be valid that are not in
    `chat_listener`, those of the release before and those of before a restore."""

    class Meta:
        db_table = "chat_installation"
        constraints: ClassVar = [
            CheckConstraint(condition=Q(id=1), name="chat_installation_single_row"),
            CheckConstraint(
                condition=Q(outbox_partitions__gte=1), name="chat_installation_has_partitions"
            ),
        ]

    def __str__(self) -> str:
        return self.epoch


class Room(models.Model):
    """A room. Writers lock its row, and its counters number the room's events."""

    name = models.CharField(max_length=ROOM_NAME_MAX_LENGTH)
    version = models.BigIntegerField(default=0)
    """How many events the room has had: 1, 2, 3… without a gap."""
    last_seq = models.BigIntegerField(default=0)
    """How many messages the room has had."""
    member_count = models.IntegerField(default=0)
    bumped_at = models.DateTimeField()
    """The time of the last message, or of the creation; it never falls, even where a clock does."""
    bump_id = models.BigIntegerField()
    """The id of the last message, the room's place in lists: time orders nothing. Before the first
    message it is the last id that any message had at the creation, by the column's default: a new
    room is listed above the rooms of all messages so far. Each message changes it, so it has no
    index."""
    created_at = models.DateTimeField()

    class Meta:
        db_table = "chat_room"
        constraints: ClassVar = [
            CheckConstraint(condition=Q(name__length__gte=1), name="chat_room_name_not_empty"),
            CheckConstraint(
                condition=Q(version__gte=0, last_seq__gte=0, member_count__gte=0),
                name="chat_room_counters_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return make_visible(self.name)


class RoomKey(models.Model):
    """The idempotency key with which a room was created: it stands for this room for ever."""

    room = models.OneToOneField(Room, on_delete=models.PROTECT, primary_key=True)
    created_by = models.CharField(max_length=USER_ID_MAX_LENGTH, db_collation="C")
    client_id = models.CharField(max_length=CLIENT_ID_MAX_LENGTH, db_collation="C")
    digest = models.BinaryField()
    """The SHA-256 of the name and members asked for. The same key with another name or other
    members is a conflict."""

    class Meta:
        db_table = "chat_room_key"
        constraints: ClassVar = [
            UniqueConstraint(fields=["created_by", "client_id"], name="chat_room_key_once"),
        ]

    def __str__(self) -> str:
        return make_visible(f"{self.created_by} {self.client_id}")


class Member(models.Model):
    """A user in a room."""

    room = models.ForeignKey(Room, on_delete=models.PROTECT, db_index=False)
    user_id = models.CharField(max_length=USER_ID_MAX_LENGTH, db_collation="C")
    channel = models.CharField(max_length=256, db_collation="C")
    """The user's personal channel, computed once."""
    joined_version = models.BigIntegerField()
    """The first version of the room whose event went to this member."""
    joined_at = models.DateTimeField()

    class Meta:
        db_table = "chat_member"
        constraints: ClassVar = [
            UniqueConstraint(fields=["room", "user_id"], name="chat_member_once_per_room"),
        ]
        indexes: ClassVar = [
            Index(fields=["user_id", "room"], name="chat_member_rooms_of_user"),
        ]

    def __str__(self) -> str:
        return f"{make_visible(self.user_id)} in {self.room_id}"


class Listener(models.Model):
    """A user who can be listening: one who asked for a token within `CHAT_AUDIENCE_HOURS`."""

    user_id = ExactCharField(primary_key=True, max_length=USER_ID_MAX_LENGTH, db_collation="C")
    channel = models.CharField(max_length=256, db_collation="C")
    """The user's personal channel, to which the events are published."""
    until = models.DateTimeField()
    """From then on no token of the user is valid, and nothing is published to the user."""
    is_settled = models.BooleanField(db_default=False)
    """Whether every change of the API has ended that could have missed this row. Until then a token
    is not answered: see functions/listeners.sql."""
    lapsed_at = models.DateTimeField(null=True)
    """Where the user came back after `until`, that time: Centrifugo may have a history in which
    the events after it are missing, so tokens of the next days do not recover from it."""

    class Meta:
        db_table = "chat_listener"
        indexes: ClassVar = [Index(fields=["until"], name="chat_listener_until")]

    def __str__(self) -> str:
        return f"{make_visible(self.user_id)} until {self.until}"


class JoinCount(models.Model):
    """When a user last joined and left rooms; written only where `CHAT_JOINS_PER_USER` is set."""

    user_id = ExactCharField(primary_key=True, max_length=USER_ID_MAX_LENGTH, db_collation="C")
    times = ArrayField(models.DateTimeField())
    """The latest ones, the newest last, at most as many as the limit allows."""

    class Meta:
        db_table = "chat_join_count"

    def __str__(self) -> str:
        return f"{make_visible(self.user_id)}: {len(self.times)}"


class Revocation(models.Model):
    """A user whose tokens of the host are refused if they were issued before a time."""

    user_id = ExactCharField(primary_key=True, max_length=USER_ID_MAX_LENGTH, db_collation="C")
    not_before = models.DateTimeField()
    """It only moves forward. A token whose `iat` is earlier, or that has none, is refused."""
    changed_at = models.DateTimeField()
    changed_in = models.BigIntegerField()
    """The id of the transaction that wrote the row. By it, and not by a time, each process finds
    what was committed since it looked: a transaction may be committed long after a later one."""

    class Meta:
        db_table = "chat_revocation"
        indexes: ClassVar = [
            Index(fields=["changed_in", "user_id"], name="chat_revocation_changes"),
            Index(fields=["not_before"], name="chat_revocation_not_before"),
        ]

    def __str__(self) -> str:
        return f"{make_visible(self.user_id)} not before {self.not_before}"


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
    message = models.ForeignKey(Message, on_delete=models.PROTECT, null=True, db_index=False)
    user_id = models.CharField(max_length=USER_ID_MAX_LENGTH, db_collation="C", null=True)  # noqa: DJ001 - events of the room itself have no user
    joined_at = models.DateTimeField(null=True)
    first_version = models.BigIntegerField(null=True)
    """Of the last event of a call that added many users: the version of the first one. Only the
    last was published, and stands for them all."""
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
