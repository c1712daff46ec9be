"""Events are published to the users who can be listening."""

import chat.models

from django.db import migrations, models

# Tokens that the release before issued, and still issues while it runs beside this one, are in no
# table. A day is far longer than a deploy; a new database has had no release before.
EVERYONE = """
UPDATE chat_installation SET everyone_until = clock_timestamp() + interval '1 day'
WHERE EXISTS (SELECT FROM chat_room)
"""

# The functions as they were two releases ago; decision 9.
DROP_OLD_SCHEMA = "DROP SCHEMA IF EXISTS chat_v1 CASCADE"


class Migration(migrations.Migration):

    dependencies = [("chat", "0005_room_keys")]

    operations = [
        migrations.CreateModel(
            name="Listener",
            fields=[
                ("user_id", chat.models.ExactCharField(db_collation="C", max_length=128, primary_key=True, serialize=False)),
                ("channel", models.CharField(db_collation="C", max_length=256)),
                ("until", models.DateTimeField()),
                ("is_settled", models.BooleanField(db_default=False)),
                ("lapsed_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "chat_listener",
                "indexes": [models.Index(fields=["until"], name="chat_listener_until")],
            },
        ),
        migrations.AddField(
            model_name="installation",
            name="everyone_until",
            field=models.DateTimeField(null=True),
        ),
        migrations.RunSQL(EVERYONE, migrations.RunSQL.noop),
        migrations.RunSQL(DROP_OLD_SCHEMA, migrations.RunSQL.noop),
    ]
