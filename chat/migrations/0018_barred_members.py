from django.db import migrations, models


class Migration(migrations.Migration):
    # Neither changes a row: a column with a constant default, and a longer limit of a text.

    dependencies = [("chat", "0017_ranked_members")]

    operations = [
        migrations.AddField("member", "is_barred", models.BooleanField(db_default=False)),
        migrations.AlterField("usecount", "kind", models.CharField(max_length=32)),
    ]
