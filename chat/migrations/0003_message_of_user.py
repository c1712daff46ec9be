"""Messages are found by who wrote them."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index that is built without blocking writers cannot be built inside a transaction.
    atomic = False

    dependencies = [("chat", "0002_search")]

    operations = [
        # A build that was broken off leaves an index that is never used.
        migrations.RunSQL(
            "DROP INDEX CONCURRENTLY IF EXISTS chat_message_of_user", migrations.RunSQL.noop
        ),
        AddIndexConcurrently(
            model_name="message",
            index=models.Index(fields=["user_id", "id"], name="chat_message_of_user"),
        ),
    ]
