"""Events have details.

This migration and the next two change one table in use each. One that held a table and waited for another
would wait for requests that have the second one and wait for the first.
"""

import chat.models.fields

from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [("chat", "0011_search_text")]

    operations = [
        migrations.AddField(
            model_name='event',
            name='details',
            field=chat.models.fields.JSONTextField(null=True),
        ),
    ]
