"""What rooms and members have is checked, and the indexes of keys are built, while both are in use."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    # Reading a whole table is no part of a transaction that holds it.
    atomic = False

    dependencies = [("chat", "0014_kinds_of_rooms")]

    operations = [
        ValidateConstraint(model_name="member", name="chat_member_role_known"),
        ValidateConstraint(model_name="room", name="chat_room_kind_known"),
        ValidateConstraint(model_name="room", name="chat_room_history_known"),
        ValidateConstraint(model_name="room", name="chat_room_slow_mode_bounded"),
        # A build that was broken off leaves an index that is not valid.
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS chat_room_external_id_once", migrations.RunSQL.noop),
        migrations.RunSQL(
            "CREATE UNIQUE INDEX CONCURRENTLY chat_room_external_id_once ON chat_room (external_id)",
            "DROP INDEX CONCURRENTLY IF EXISTS chat_room_external_id_once",
        ),
        # A build that was broken off leaves an index that is not valid.
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS chat_room_direct_key_once", migrations.RunSQL.noop),
        migrations.RunSQL(
            "CREATE UNIQUE INDEX CONCURRENTLY chat_room_direct_key_once ON chat_room (direct_key)",
            "DROP INDEX CONCURRENTLY IF EXISTS chat_room_direct_key_once",
        ),
    ]
