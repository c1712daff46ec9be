"""No two rooms have one external id, or are the direct room of the same users."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("chat", "0015_rules_of_rooms")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE chat_room ADD CONSTRAINT chat_room_external_id_once UNIQUE USING INDEX chat_room_external_id_once",
                    "ALTER TABLE chat_room DROP CONSTRAINT chat_room_external_id_once",
                ),
            ],
            state_operations=[
                migrations.AddConstraint(
                    model_name='room',
                    constraint=models.UniqueConstraint(fields=('external_id',), name='chat_room_external_id_once'),
                ),
            ],
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE chat_room ADD CONSTRAINT chat_room_direct_key_once UNIQUE USING INDEX chat_room_direct_key_once",
                    "ALTER TABLE chat_room DROP CONSTRAINT chat_room_direct_key_once",
                ),
            ],
            state_operations=[
                migrations.AddConstraint(
                    model_name='room',
                    constraint=models.UniqueConstraint(fields=('direct_key',), name='chat_room_direct_key_once'),
                ),
            ],
        ),
    ]
