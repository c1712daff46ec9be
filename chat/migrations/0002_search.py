"""Rooms are found by any part of their name, in every script."""

from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations

# The full case folding of Unicode, whatever the locale of the database. Sends do not touch the
# name, so the index does not cost them their in-page updates.
DROP_INDEX = "DROP INDEX CONCURRENTLY IF EXISTS chat_room_name_search"
CREATE_INDEX = """
CREATE INDEX CONCURRENTLY chat_room_name_search
ON chat_room USING gin (casefold(name COLLATE pg_unicode_fast) gin_trgm_ops);
"""


class Migration(migrations.Migration):
    # An index that is built without blocking writers cannot be built inside a transaction.
    atomic = False

    dependencies = [("chat", "0001_initial")]

    operations = [
        TrigramExtension(),
        # A build that was broken off leaves an index that is never used.
        migrations.RunSQL(DROP_INDEX, migrations.RunSQL.noop),
        migrations.RunSQL(CREATE_INDEX, DROP_INDEX),
    ]
