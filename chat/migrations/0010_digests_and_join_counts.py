"""What is left of a deleted text to compare a repeated send, and how often users join and leave."""

import chat.models
import django.contrib.postgres.fields

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("chat", "0009_bump_ids")]

    operations = [
        migrations.AddField(
            model_name="message",
            name="digest",
            field=models.IntegerField(null=True),
        ),
        migrations.CreateModel(
            name="JoinCount",
            fields=[
                ("user_id", chat.models.ExactCharField(db_collation="C", max_length=128, primary_key=True, serialize=False)),
                ("times", django.contrib.postgres.fields.ArrayField(base_field=models.DateTimeField(), size=None)),
            ],
            options={
                "db_table": "chat_join_count",
            },
        ),
    ]
