"""Members have roles, and settings of their own."""

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("chat", "0012_details_of_events")]

    operations = [
        migrations.AddField(
            model_name='member',
            name='hidden_seq',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='member',
            name='is_muted',
            field=models.BooleanField(db_default=False),
        ),
        migrations.AddField(
            model_name='member',
            name='joined_seq',
            field=models.BigIntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name='member',
            name='muted_until',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='member',
            name='pinned_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='member',
            name='role',
            field=models.CharField(db_default='member', max_length=9),
        ),
        AddConstraintNotValid(
            model_name='member',
            constraint=models.CheckConstraint(condition=models.Q(('role__in', ['member', 'moderator', 'owner'])), name='chat_member_role_known'),
        ),
    ]
