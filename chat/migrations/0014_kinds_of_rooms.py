"""Rooms have kinds; who is banned, blocked, reported and invited; who changed what.

The new tables come first, so that chat_room is held for as short a time as possible.
"""

import chat.models.fields
import django.contrib.postgres.fields
import django.db.models.deletion

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("chat", "0013_roles_of_members")]

    operations = [
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField()),
                ('actor', models.CharField(db_collation='C', max_length=160)),
                ('actor_kind', models.CharField(max_length=7)),
                ('address', models.CharField(blank=True, max_length=64)),
                ('action', models.CharField(max_length=32)),
                ('room_id', models.BigIntegerField(null=True)),
                ('user_id', models.CharField(db_collation='C', max_length=128, null=True)),
                ('details', chat.models.fields.JSONTextField(null=True)),
            ],
            options={
                'verbose_name': 'audit entry',
                'verbose_name_plural': 'audit entries',
                'db_table': 'chat_audit',
            },
        ),
        migrations.CreateModel(
            name='Ban',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('user_id', chat.models.fields.ExactCharField(db_collation='C', max_length=128)),
                ('until', models.DateTimeField(null=True)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('created_by', models.CharField(db_collation='C', max_length=128)),
                ('created_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'chat_ban',
            },
        ),
        migrations.CreateModel(
            name='Block',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('user_id', chat.models.fields.ExactCharField(db_collation='C', max_length=128)),
                ('blocked_id', chat.models.fields.ExactCharField(db_collation='C', max_length=128)),
                ('created_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'chat_block',
            },
        ),
        migrations.CreateModel(
            name='Decision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('decision', models.CharField(max_length=8)),
                ('note', models.CharField(blank=True, max_length=500)),
                ('decided_by', models.CharField(db_collation='C', max_length=128)),
                ('decided_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'chat_decision',
            },
        ),
        migrations.CreateModel(
            name='Invite',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_by', models.CharField(db_collation='C', max_length=128)),
                ('created_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('max_uses', models.IntegerField(null=True)),
                ('uses', models.IntegerField(db_default=0)),
                ('revoked_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'chat_invite',
            },
        ),
        migrations.CreateModel(
            name='Report',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('message_id', models.BigIntegerField(null=True)),
                ('user_id', chat.models.fields.ExactCharField(db_collation='C', max_length=128)),
                ('reported_by', models.CharField(db_collation='C', max_length=128)),
                ('reason', models.CharField(max_length=500)),
                ('created_at', models.DateTimeField()),
                ('decision', models.CharField(max_length=8, null=True)),
                ('decided_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'chat_report',
            },
        ),
        migrations.CreateModel(
            name='RoomDeletion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('room_id', models.BigIntegerField(unique=True)),
                ('external_id', models.CharField(max_length=255, null=True)),
                ('requested_by', models.CharField(db_collation='C', max_length=128)),
                ('requested_at', models.DateTimeField()),
                ('finished_at', models.DateTimeField(null=True)),
                ('members', models.BigIntegerField(db_default=0)),
                ('messages', models.BigIntegerField(db_default=0)),
                ('events', models.BigIntegerField(db_default=0)),
            ],
            options={
                'db_table': 'chat_room_deletion',
            },
        ),
        migrations.CreateModel(
            name='UseCount',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('user_id', chat.models.fields.ExactCharField(db_collation='C', max_length=128)),
                ('kind', models.CharField(max_length=16)),
                ('times', django.contrib.postgres.fields.ArrayField(base_field=models.DateTimeField(), size=None)),
            ],
            options={
                'db_table': 'chat_use_count',
            },
        ),
        migrations.CreateModel(
            name='Word',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('word', models.CharField(max_length=64)),
                ('skeleton', models.CharField(max_length=256, unique=True)),
                ('action', models.CharField(max_length=6)),
            ],
            options={
                'db_table': 'chat_word',
            },
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['room_id', 'id'], name='chat_audit_of_room'),
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['user_id', 'id'], name='chat_audit_of_user'),
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['actor', 'id'], name='chat_audit_of_actor'),
        ),
        migrations.AddIndex(
            model_name='block',
            index=models.Index(fields=['blocked_id', 'user_id'], name='chat_block_of_blocked'),
        ),
        migrations.AddConstraint(
            model_name='block',
            constraint=models.UniqueConstraint(fields=('user_id', 'blocked_id'), name='chat_block_once'),
        ),
        migrations.AddField(
            model_name='decision',
            name='report',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='decisions', to='chat.report'),
        ),
        migrations.AddIndex(
            model_name='roomdeletion',
            index=models.Index(condition=models.Q(('finished_at', None)), fields=['id'], name='chat_room_deletion_open'),
        ),
        migrations.AddConstraint(
            model_name='usecount',
            constraint=models.UniqueConstraint(fields=('user_id', 'kind'), name='chat_use_count_once'),
        ),
        migrations.AddConstraint(
            model_name='word',
            constraint=models.CheckConstraint(condition=models.Q(('action__in', ['refuse', 'mask', 'report'])), name='chat_word_action_known'),
        ),
        migrations.AddIndex(
            model_name='report',
            index=models.Index(condition=models.Q(('decision__isnull', True)), fields=['id'], name='chat_report_open'),
        ),
        migrations.AddIndex(
            model_name='report',
            index=models.Index(fields=['user_id', 'id'], name='chat_report_of_user'),
        ),
        migrations.AddField(
            model_name='room',
            name='archived_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='room',
            name='created_by',
            field=models.CharField(db_collation='C', max_length=128, null=True),
        ),
        migrations.AddField(
            model_name='room',
            name='data',
            field=chat.models.fields.JSONTextField(null=True),
        ),
        migrations.AddField(
            model_name='room',
            name='direct_key',
            field=models.BinaryField(null=True),
        ),
        migrations.AddField(
            model_name='room',
            name='external_id',
            field=chat.models.fields.ExactCharField(db_collation='C', max_length=255, null=True),
        ),
        migrations.AddField(
            model_name='room',
            name='history',
            field=models.CharField(db_default='all', max_length=10),
        ),
        migrations.AddField(
            model_name='room',
            name='kind',
            field=models.CharField(db_default='public', max_length=8),
        ),
        migrations.AddField(
            model_name='room',
            name='slow_mode_seconds',
            field=models.IntegerField(db_default=0),
        ),
        AddConstraintNotValid(
            model_name='room',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['public', 'private', 'direct'])), name='chat_room_kind_known'),
        ),
        AddConstraintNotValid(
            model_name='room',
            constraint=models.CheckConstraint(condition=models.Q(('history__in', ['all', 'since_join'])), name='chat_room_history_known'),
        ),
        AddConstraintNotValid(
            model_name='room',
            constraint=models.CheckConstraint(condition=models.Q(('slow_mode_seconds__range', (0, 86400))), name='chat_room_slow_mode_bounded'),
        ),
        migrations.AddField(
            model_name='ban',
            name='room',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to='chat.room'),
        ),
        migrations.AddField(
            model_name='invite',
            name='room',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='chat.room'),
        ),
        migrations.AddField(
            model_name='report',
            name='room',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to='chat.room'),
        ),
        migrations.AddIndex(
            model_name='ban',
            index=models.Index(fields=['room', 'user_id'], name='chat_ban_of_room'),
        ),
        migrations.AddConstraint(
            model_name='ban',
            constraint=models.UniqueConstraint(fields=('user_id', 'room'), name='chat_ban_once', nulls_distinct=False),
        ),
        migrations.AddIndex(
            model_name='invite',
            index=models.Index(fields=['room', 'id'], name='chat_invite_of_room'),
        ),
        migrations.AddConstraint(
            model_name='report',
            constraint=models.UniqueConstraint(fields=('reported_by', 'user_id', 'message_id', 'room'), name='chat_report_once', nulls_distinct=False),
        ),
    ]
