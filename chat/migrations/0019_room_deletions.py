"""Rooms can be deleted."""

import django.db.models.deletion
from django.db import migrations, models

# In the order in which a send locks them: otherwise the two could wait for each other in a circle.
LOCK = "LOCK TABLE chat_message, chat_event IN ACCESS EXCLUSIVE MODE"


class Migration(migrations.Migration):

    dependencies = [("chat", "0018_barred_members")]

    operations = [
        migrations.RunSQL(LOCK, LOCK),
        # Each deleted message would be looked for in the log, which has no index by message.
        migrations.AlterField(
            model_name="event",
            name="message",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                to="chat.message",
            ),
        ),
        migrations.AddField(
            model_name="room", name="deleted_at", field=models.DateTimeField(null=True)
        ),
        # The table is as new as this release.
        migrations.AddIndex(
            model_name="report",
            index=models.Index(fields=["room", "id"], name="chat_report_of_room"),
        ),
    ]
