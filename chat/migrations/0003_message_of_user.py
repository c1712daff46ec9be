"""Messages are found by who wrote them."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index that is built without blocking writers cannot be built inside a transaction.
    atomic = False

    dependencies = [("chat", "0002_search")]

    operations = [
        AddIndexConcurrently(
            model_name="message",
            index=models.Index(fields=["user_id", "id"], name="chat_message_of_user"),
        ),
    ]
