"""A room can be created with an idempotency key."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('chat', '0004_identity_of_the_database'),
    ]

    operations = [
        migrations.CreateModel(
            name='RoomKey',
            fields=[
                ('room', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, serialize=False, to='chat.room')),
                ('created_by', models.CharField(db_collation='C', max_length=128)),
                ('client_id', models.CharField(db_collation='C', max_length=64)),
                ('digest', models.BinaryField()),
            ],
            options={
                'db_table': 'chat_room_key',
                'constraints': [models.UniqueConstraint(fields=('created_by', 'client_id'), name='chat_room_key_once')],
            },
        ),
    ]
