"""What a decision about a report lasts for, the queue's indexes, and an audit that nobody changes."""

import django.db.models.deletion
from django.db import migrations, models

import chat.models.fields

# In the schema of the tables: the functions of `chat` are installed after the migrations.
PROTECT_AUDIT = """
CREATE FUNCTION chat_refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is never changed: % of chat_audit is refused', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER chat_audit_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON chat_audit
FOR EACH STATEMENT EXECUTE FUNCTION chat_refuse_change_of_audit();
"""
UNPROTECT_AUDIT = """
DROP TRIGGER chat_audit_never_changed ON chat_audit;
DROP FUNCTION chat_refuse_change_of_audit();
"""


class Migration(migrations.Migration):

    dependencies = [("chat", "0019_room_deletions")]

    operations = [
        migrations.AddField(
            model_name="decision",
            name="until",
            field=models.DateTimeField(null=True),
        ),
        migrations.AlterField(
            model_name="decision",
            name="decided_by",
            field=models.CharField(db_collation="C", max_length=160),
        ),
        migrations.AlterField(
            model_name="decision",
            name="report",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="decisions",
                to="chat.report",
            ),
        ),
        migrations.AddIndex(
            model_name="decision",
            index=models.Index(fields=["report", "id"], name="chat_decision_of_report"),
        ),
        migrations.AddIndex(
            model_name="report",
            index=models.Index(
                condition=models.Q(("decision__isnull", False)),
                fields=["id"],
                name="chat_report_decided",
            ),
        ),
        migrations.AddIndex(
            model_name="report",
            index=models.Index(
                condition=models.Q(("decision__isnull", True), ("message_id__isnull", False)),
                fields=["message_id", "id"],
                name="chat_report_open_of_message",
            ),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["action", "id"], name="chat_audit_of_action"),
        ),
        # Without the index for LIKE, which nothing uses.
        migrations.AlterField(
            model_name="word",
            name="skeleton",
            field=chat.models.fields.ExactCharField(
                db_collation="C", max_length=256, unique=True
            ),
        ),
        migrations.RunSQL(PROTECT_AUDIT, UNPROTECT_AUDIT),
    ]
