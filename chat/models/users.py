"""What is kept of users: who can be listening, whose tokens are refused, what they did lately."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Index, UniqueConstraint

from chat.conf import USER_ID_MAX_LENGTH
from chat.models.fields import ExactCharField
from chat.visible import make_visible


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


class UseCount(models.Model):
    """When a user last did what is limited by a setting, such as creating rooms."""

    user_id = ExactCharField(max_length=USER_ID_MAX_LENGTH, db_collation="C")
    kind = models.CharField(max_length=32)
    """`room_created`, `direct_opened`, `reported`, `slow_mode:<room id>`."""
    times = ArrayField(models.DateTimeField())
    """The latest ones, the newest last, at most as many as the limit allows."""

    class Meta:
        db_table = "chat_use_count"
        constraints: ClassVar = [
            UniqueConstraint(fields=["user_id", "kind"], name="chat_use_count_once"),
        ]

    def __str__(self) -> str:
        return f"{make_visible(self.user_id)} {self.kind}: {len(self.times)}"


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
