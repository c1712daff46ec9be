"""Adds the index that finds the owners and moderators of a room, while the table is in use."""

from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """Outside a transaction: the index is built while members join and leave."""

    atomic = False
    dependencies: ClassVar = [("chat", "0016_rooms_and_roles")]
    operations: ClassVar = [
        # A build that was broken off leaves an index that is never used.
        migrations.RunSQL(
            "DROP INDEX CONCURRENTLY IF EXISTS chat_member_ranked", migrations.RunSQL.noop
        ),
        AddIndexConcurrently(
            "member",
            models.Index(
                fields=["room", "user_id"],
                name="chat_member_ranked",
                condition=~Q(role="member"),
            ),
        ),
    ]
