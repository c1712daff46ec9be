"""Rooms know the last state that the host's service wanted of them, so an earlier call stops."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """One column with a constant default: no row is rewritten."""

    dependencies = [("chat", "0020_reports_and_audit")]

    operations = [
        migrations.AddField("room", "desired_generation", models.BigIntegerField(db_default=0)),
    ]
