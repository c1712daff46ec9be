"""Rooms are listed by their last message; an event can stand for those before it."""

from django.db import migrations, models

# A new room is listed above the rooms of all messages so far. As a default, so that rooms of the functions of
# the release before have it too. The sequence is looked up by each insert: a default that names it
# could not be dropped with it.
AFTER_ALL = """
ALTER TABLE chat_room ALTER COLUMN bump_id
SET DEFAULT coalesce(pg_sequence_last_value(pg_get_serial_sequence('chat_message', 'id')), 0);
"""

# Until `migrate` ends, messages are sent by the functions of the release before, which do not know
# the column. The trigger does nothing once the new functions are there, and a migration of the
# next release drops it. A new database has no functions yet, and no trigger.
KEEP = """
DO $$ BEGIN
    IF to_regnamespace('chat') IS NULL THEN
        RETURN;
    END IF;
    CREATE OR REPLACE FUNCTION chat.keep_bump_id() RETURNS trigger LANGUAGE plpgsql AS $f$
    BEGIN
        SELECT coalesce(max(m.id), NEW.bump_id) INTO NEW.bump_id
        FROM chat_message m WHERE m.room_id = NEW.id AND m.seq = NEW.last_seq;
        RETURN NEW;
    END $f$;
    CREATE TRIGGER chat_room_keep_bump_id BEFORE UPDATE ON chat_room FOR EACH ROW
    WHEN (NEW.last_seq > OLD.last_seq AND NEW.bump_id = OLD.bump_id)
    EXECUTE FUNCTION chat.keep_bump_id();
END $$
"""
LET_GO = """
DROP TRIGGER IF EXISTS chat_room_keep_bump_id ON chat_room;
DROP FUNCTION IF EXISTS chat.keep_bump_id();
"""


class Migration(migrations.Migration):

    dependencies = [("chat", "0008_revocations")]

    operations = [
        migrations.AddField(
            model_name="room",
            name="bump_id",
            # -1: not filled yet. The next migration fills it without stopping the sends.
            field=models.BigIntegerField(default=-1),
            preserve_default=False,
        ),
        migrations.RunSQL(AFTER_ALL, migrations.RunSQL.noop),
        migrations.RunSQL(KEEP, LET_GO),
        migrations.AddField(
            model_name="event",
            name="first_version",
            field=models.BigIntegerField(null=True),
        ),
    ]
