"""A database knows itself, so that a restored one is noticed."""

from django.db import migrations, models

# As in chat_v1.database_identity(), which is installed only after the migrations.
RECOGNISE = """
UPDATE chat_installation SET identity = (
    SELECT s.system_identifier || '/' || c.timeline_id || '/' || 'chat_installation'::regclass::oid
    FROM pg_control_system() s, pg_control_checkpoint() c)
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
