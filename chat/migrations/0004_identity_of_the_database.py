"""A database knows itself, so that a restored one is noticed."""

from django.db import migrations, models

# As in chat_v1.database_identity(), which is installed only after the migrations.
RECOGNISE = """
UPDATE chat_installation SET identity = (
    SELECT concat_ws('/', s.system_identifier,
        ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int,
        d.oid, 'chat_installation'::regclass::oid)
    FROM pg_control_system() s, pg_database d WHERE d.datname = current_database())
"""


class Migration(migrations.Migration):

    dependencies = [("chat", "0003_message_of_user")]

    operations = [
        migrations.AddField(
            model_name="installation",
            name="identity",
            # The default is the column's own: the release before inserts without it.
            field=models.CharField(db_default="", max_length=64),
        ),
        migrations.RunSQL(RECOGNISE, migrations.RunSQL.noop),
    ]
