"""Rooms have their places in lists, and are found by any spelling of their names."""

from django.db import migrations

# Each room's place: the id of its last message, or that of the room before it in the order by time.
# A room to which a message is sent meanwhile has its place already; a locked one gets it later. In
# small steps, so that no send waits for long.
FILL = """
DO $$
DECLARE
    v_after bigint;
    v_ids bigint[];
BEGIN
    IF NOT EXISTS (SELECT FROM chat_room r WHERE r.bump_id = -1) THEN
        RETURN;
    END IF;
    DROP TABLE IF EXISTS chat_place;
    CREATE TEMP TABLE chat_place AS
        SELECT r.id, coalesce(m.id, max(m.id) OVER (
            ORDER BY r.bumped_at, r.id ROWS UNBOUNDED PRECEDING), 0) AS bump_id
        FROM chat_room r LEFT JOIN chat_message m ON m.room_id = r.id AND m.seq = r.last_seq
        WHERE r.bump_id = -1 OR m.id IS NOT NULL;
    CREATE UNIQUE INDEX ON chat_place (id);
    ANALYZE chat_place;
    COMMIT;
    LOOP
        v_after := 0;
        LOOP
            v_ids := ARRAY(
                SELECT r.id FROM chat_room r WHERE r.id > v_after ORDER BY r.id LIMIT 200);
            EXIT WHEN cardinality(v_ids) = 0;
            v_after := v_ids[cardinality(v_ids)];
            v_ids := ARRAY(
                SELECT r.id FROM chat_room r WHERE r.id = ANY (v_ids) AND r.bump_id = -1
                ORDER BY r.id FOR NO KEY UPDATE SKIP LOCKED);
            UPDATE chat_room r SET bump_id = p.bump_id
            FROM chat_place p WHERE p.id = r.id AND r.id = ANY (v_ids);
            COMMIT;
        END LOOP;
        EXIT WHEN NOT EXISTS (SELECT FROM chat_room r WHERE r.bump_id = -1);
        PERFORM pg_sleep(0.2);
    END LOOP;
    DROP TABLE chat_place;
END $$
"""

# The expression of chat.search_text(), in which this index is looked up: PostgreSQL puts a function
# of one expression in place, so the index names no function of ours. A change of the function can
# make searches slow until the index is built anew, but never wrong; `tests/gates` holds them equal.
# The index of the release before stays for as long as that release runs.
DROP_INDEX = "DROP INDEX CONCURRENTLY IF EXISTS chat_room_search_text"
CREATE_INDEX = r"""
CREATE INDEX CONCURRENTLY chat_room_search_text ON chat_room USING gin ((
    CASE WHEN name COLLATE "C" ~ '^[\u0001-\u007f\u00c0-\u012f\u0134-\u013e\u0141-\u0148\u014a-\u017e\u01a0\u01a1\u01af\u01b0\u0391-\u03af\u03b1-\u03c9\u0400-\u045f\u05d0-\u05ea\u0621-\u064a\u1ea0-\u1ef9\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3]*$'
    THEN casefold(name COLLATE pg_unicode_fast)
    ELSE normalize(replace(replace(regexp_replace(
        casefold(normalize(name, NFKD) COLLATE pg_unicode_fast),
        '([\u0300\u0301\u0303\u0309])([\u0302\u0306])', '\2\1', 'g'),
        U&'i\0307', 'i'), U&'\0131', 'i'), NFKC)
    END COLLATE pg_unicode_fast
) gin_trgm_ops);
"""


class Migration(migrations.Migration):
    # An index that is built without blocking writers cannot be built inside a transaction.
    atomic = False

    dependencies = [("chat", "0010_digests_and_join_counts")]

    operations = [
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        # A build that was broken off leaves an index that is never used.
        migrations.RunSQL(DROP_INDEX, migrations.RunSQL.noop),
        migrations.RunSQL(CREATE_INDEX, DROP_INDEX),
    ]
