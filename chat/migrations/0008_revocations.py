"""The host can refuse the tokens that a user holds."""

import chat.models

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("chat", "0007_functions_of_two_releases_ago")]

    operations = [
        migrations.CreateModel(
            name="Revocation",
            fields=[
                ("user_id", chat.models.ExactCharField(db_collation="C", max_length=128, primary_key=True, serialize=False)),
                ("not_before", models.DateTimeField()),
                ("changed_at", models.DateTimeField()),
                ("changed_in", models.BigIntegerField()),
            ],
            options={
                "db_table": "chat_revocation",
                "indexes": [
                    models.Index(fields=["changed_in", "user_id"], name="chat_revocation_changes"),
                    models.Index(fields=["not_before"], name="chat_revocation_not_before"),
                ],
            },
        ),
    ]
