"""What distinguishes this database."""

from typing import ClassVar

from django.db import models
from django.db.models import CheckConstraint, Q


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
