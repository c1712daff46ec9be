"""Rooms, their members and how users get into them."""

from typing import ClassVar

from django.db import models
from django.db.models import CheckConstraint, Index, Q, UniqueConstraint
from django.db.models.functions import Length

from chat.conf import (
    CLIENT_ID_MAX_LENGTH,
    EXTERNAL_ID_MAX_LENGTH,
    ROOM_NAME_MAX_LENGTH,
    SLOW_MODE_SECONDS_MOST,
    USER_ID_MAX_LENGTH,
)
from chat.models.fields import ExactCharField, JSONTextField
from chat.visible import make_visible

models.CharField.register_lookup(Length)


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
    kind = models.CharField(max_length=8, db_default="public")
    """`public`, `private` or `direct`; it never changes from or to `direct`."""
    external_id = ExactCharField(max_length=EXTERNAL_ID_MAX_LENGTH, null=True, db_collation="C")
    """The host's own key for the room."""
    direct_key = models.BinaryField(null=True)
    """Of a direct room: the SHA-256 of the JSON array of its users, sorted; one room has it."""
    data = JSONTextField(null=True)
    """What the host keeps with the room: a JSON object of at most 4 KiB, opaque to the service."""
    history = models.CharField(max_length=10, db_default="all")
    """`all`, or `since_join`: a member reads what was sent and happened since joining."""
    archived_at = models.DateTimeField(null=True)
    """From then on the room can only be read, and is not in lists unless asked for."""
    slow_mode_seconds = models.IntegerField(db_default=0)
    """How many seconds a member waits between two messages; moderators and owners do not."""
    created_by = models.CharField(max_length=USER_ID_MAX_LENGTH, db_collation="C", null=True)  # noqa: DJ001 - null: by the service
    """The user who created the room."""
    deleted_at = models.DateTimeField(null=True)
    """From then on the room does not exist for anyone. Its rows are deleted in small steps, this
    one as the last."""
    desired_generation = models.BigIntegerField(db_default=0)
    """Which call of the host's service said last what it wants of the room (`PUT
    …/by-external-id/…/`): one that works in chunks stops once there is another one here."""

    class Meta:
        db_table = "chat_room"
        constraints: ClassVar = [
            CheckConstraint(
                condition=Q(kind__in=["public", "private", "direct"]), name="chat_room_kind_known"
            ),
            CheckConstraint(
                condition=Q(history__in=["all", "since_join"]), name="chat_room_history_known"
            ),
            CheckConstraint(
                condition=Q(slow_mode_seconds__range=(0, SLOW_MODE_SECONDS_MOST)),
                name="chat_room_slow_mode_bounded",
            ),
            UniqueConstraint(fields=["external_id"], name="chat_room_external_id_once"),
            UniqueConstraint(fields=["direct_key"], name="chat_room_direct_key_once"),
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
    joined_seq = models.BigIntegerField(db_default=0)
    """The last message of the room before the user joined: where the room's history is
    `since_join`, those after it can be read, and events from `joined_version` on."""
    role = models.CharField(max_length=9, db_default="member")
    """`member`, `moderator` or `owner`; app/permissions.py says what each may do."""
    muted_until = models.DateTimeField(null=True)
    """Until then the user may not send here; `9999-12-31` is for ever."""
    is_barred = models.BooleanField(db_default=False)
    """Whether the user was banned from all rooms while a member: until the membership is ended too,
    and in direct rooms, the ban decides whether the user may send."""
    is_muted = models.BooleanField(db_default=False)
    """Whether the user wants no notifications of this room: the user's own setting."""
    hidden_seq = models.BigIntegerField(null=True)
    """The room's last message when the user hid the room; the next message shows it again."""
    pinned_at = models.DateTimeField(null=True)
    """When the user pinned the room to the top of the list."""

    class Meta:
        db_table = "chat_member"
        constraints: ClassVar = [
            CheckConstraint(
                condition=Q(role__in=["member", "moderator", "owner"]),
                name="chat_member_role_known",
            ),
            UniqueConstraint(fields=["room", "user_id"], name="chat_member_once_per_room"),
        ]
        indexes: ClassVar = [
            Index(fields=["user_id", "room"], name="chat_member_rooms_of_user"),
            # Owners and moderators, of whom even a large room has few.
            Index(
                fields=["room", "user_id"], name="chat_member_ranked", condition=~Q(role="member")
            ),
        ]

    def __str__(self) -> str:
        return f"{make_visible(self.user_id)} in {self.room_id}"


class Invite(models.Model):
    """A link by which users join a room; its token is signed and has the id and the room."""

    room = models.ForeignKey(Room, on_delete=models.PROTECT, db_index=False)
    created_by = models.CharField(max_length=USER_ID_MAX_LENGTH, db_collation="C")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    max_uses = models.IntegerField(null=True)
    """Null: any number."""
    uses = models.IntegerField(db_default=0)
    """How many users joined by it."""
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "chat_invite"
        indexes: ClassVar = [Index(fields=["room", "id"], name="chat_invite_of_room")]

    def __str__(self) -> str:
        return f"{self.pk} into {self.room_id}"


class RoomDeletion(models.Model):
    """A room that is being deleted, or was: the receipt of it."""

    room_id = models.BigIntegerField(unique=True)
    external_id = models.CharField(max_length=EXTERNAL_ID_MAX_LENGTH, null=True)  # noqa: DJ001 - as the room's
    requested_by = models.CharField(max_length=USER_ID_MAX_LENGTH, db_collation="C")
    requested_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    members = models.BigIntegerField(db_default=0)
    messages = models.BigIntegerField(db_default=0)
    events = models.BigIntegerField(db_default=0)
    """How many of each were deleted so far."""

    class Meta:
        db_table = "chat_room_deletion"
        indexes: ClassVar = [
            Index(fields=["id"], name="chat_room_deletion_open", condition=Q(finished_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.room_id}"
