"""Functions that the release before the last one called are dropped."""

from django.db import migrations

DROP_OLD_FUNCTIONS = """
DROP FUNCTION IF EXISTS chat.audience(bigint);
DROP FUNCTION IF EXISTS chat.save_room(chat_room);
"""


class Migration(migrations.Migration):

    dependencies = [("chat", "0006_listeners")]

    operations = [migrations.RunSQL(DROP_OLD_FUNCTIONS, migrations.RunSQL.noop)]
