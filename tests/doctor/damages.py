"""Every kind of damage that the doctor knows, planted by SQL past the functions.

Foreign keys are evaded where a damage needs it: a restored or mended database may have lost them.
"""

from tests.doctor.conftest import BUSY, CROWDED, EMPTY, FORGOTTEN, HALF_FORGOTTEN
from tests.doctor.damage import Damage
from tests.doctor.outbox_damages import OUTBOX

EVADE = "SET session_replication_role = replica;"
ROOMS = {
    "a counter of messages runs ahead": Damage(
        f"UPDATE chat_room SET last_seq = 12 WHERE id = {BUSY}",
        {"room": BUSY, "last_seq": 12, "last_message": 9},
        ("seq_head",),
    ),
    "a version runs ahead": Damage(
        f"UPDATE chat_room SET version = 30 WHERE id = {BUSY}",
        {"room": BUSY, "version": 30, "head": 18},
        ("log_head",),
    ),
    "the last event is lost": Damage(
        f"DELETE FROM chat_event WHERE room_id = {BUSY} AND version = 18",
        {"room": BUSY, "version": 18, "head": 17},
        ("log_head",),
    ),
    "a version of a pruned log is below its messages": Damage(
        f"UPDATE chat_room SET version = 2 WHERE id = {FORGOTTEN}",
        {"room": FORGOTTEN, "version": 2, "head": 2},
        ("log_head",),
    ),
    "members are counted wrong": Damage(
        f"UPDATE chat_room SET member_count = 7 WHERE id = {BUSY}",
        {"room": BUSY, "member_count": 7, "members": 4},
        ("member_count",),
    ),
    "a room is bumped later than its last message": Damage(
        f"UPDATE chat_room SET bumped_at = now() WHERE id = {BUSY}",
        {"room": BUSY},
        ("bumped_at",),
    ),
    "a room has the place of another message": Damage(
        f"UPDATE chat_room SET bump_id = bump_id - 1 WHERE id = {BUSY}",
        {"room": BUSY},
        ("bumped_at",),
    ),
    "a room without messages is bumped": Damage(
        f"UPDATE chat_room SET bumped_at = now() WHERE id = {EMPTY}",
        {"room": EMPTY},
        ("bumped_at",),
    ),
    "a room is gone": Damage(
        f"{EVADE} DELETE FROM chat_room WHERE id = {EMPTY};"
        f"UPDATE chat_message SET room_id = {EMPTY} WHERE room_id = {FORGOTTEN};"
        f"UPDATE chat_room SET last_seq = 0, bumped_at = created_at WHERE id = {FORGOTTEN}",
        {"table": "chat_message", "room": EMPTY},
        ("room_missing",),
    ),
    "a member is of no room": Damage(
        f"{EVADE} INSERT INTO chat_member (room_id, user_id, channel, joined_version, joined_at)"
        " VALUES (99, 'alice', 'personal:alice', 1, now())",
        {"table": "chat_member", "room": 99},
        ("room_missing",),
    ),
    "an event is of no room": Damage(
        f"{EVADE} INSERT INTO chat_event (room_id, version, type, member_count, bumped_at,"
        " created_at) VALUES (99, 1, 'room_updated', 0, now(), now())",
        {"table": "chat_event", "room": 99},
        ("room_missing",),
    ),
}
MEMBERS = {
    "a member has someone else's channel": Damage(
        f"UPDATE chat_member SET channel = 'personal:mallory' WHERE room_id = {CROWDED}"
        " AND user_id = 'user-500'",
        {"room": CROWDED, "user": "user-500"},
        ("member_channel",),
    ),
    "a listener has someone else's channel": Damage(
        "UPDATE chat_listener SET channel = 'personal:mallory' WHERE user_id = 'bob'",
        {"user": "bob"},
        ("listener_channel",),
    ),
    "a member joined in the future": Damage(
        f"UPDATE chat_member SET joined_version = 19 WHERE room_id = {BUSY} AND user_id = 'bob'",
        {"room": BUSY, "user": "bob", "joined_version": 19},
        ("member_version",),
    ),
    "a member was written by hand": Damage(
        "INSERT INTO chat_member (room_id, user_id, channel, joined_version, joined_at)"
        f" VALUES ({BUSY}, 'mallory', 'personal:mallory', 5, now());"
        f" UPDATE chat_room SET member_count = member_count + 1 WHERE id = {BUSY}",
        {"room": BUSY, "user": "mallory", "joined_version": 5},
        ("log_members",),
    ),
    "one who left was written back": Damage(
        "INSERT INTO chat_member (room_id, user_id, channel, joined_version, joined_at)"
        f" SELECT {BUSY}, 'charlie', 'personal:charlie', 1, joined_at FROM chat_event"
        f" WHERE room_id = {BUSY} AND version = 1;"
        f" UPDATE chat_room SET member_count = member_count + 1 WHERE id = {BUSY}",
        {"room": BUSY, "user": "charlie", "version": 14},
        ("log_members",),
    ),
    "a member was removed by hand": Damage(
        f"DELETE FROM chat_member WHERE room_id = {BUSY} AND user_id = 'dora';"
        f" UPDATE chat_room SET member_count = member_count - 1 WHERE id = {BUSY}",
        {"room": BUSY, "user": "dora", "version": 15},
        ("log_members",),
    ),
}
MESSAGES = {
    "a message is lost": Damage(
        f"{EVADE} DELETE FROM chat_message WHERE room_id = {FORGOTTEN} AND seq = 2",
        {"room": FORGOTTEN, "seq": 3, "after": 1},
        ("seq_gap",),
    ),
    "the first message is lost": Damage(
        f"{EVADE} DELETE FROM chat_message WHERE room_id = {FORGOTTEN} AND seq = 1",
        {"room": FORGOTTEN, "seq": 2, "after": 0},
        ("seq_gap",),
    ),
    "a message is lost that the log tells of": Damage(
        f"{EVADE} DELETE FROM chat_message WHERE room_id = {BUSY} AND seq = 3",
        {"room": BUSY, "seq": 4, "after": 2},
        ("seq_gap", "event_wrong_message", "log_messages"),
    ),
    "an id is too small": Damage(
        f"UPDATE chat_message SET id = -id WHERE room_id = {FORGOTTEN} AND seq = 3",
        {"room": FORGOTTEN, "seq": 3, "message": -3},
        ("id_order", "bumped_at"),
    ),
    "a text is gone without a deletion": Damage(
        f"UPDATE chat_message SET content = '' WHERE room_id = {BUSY} AND seq = 9",
        {"room": BUSY, "message": 16},
        ("deleted_text",),
    ),
    "a deleted message has its text": Damage(
        f"UPDATE chat_message SET content = 'secret' WHERE room_id = {BUSY} AND seq = 4",
        {"room": BUSY, "message": 11},
        ("deleted_text",),
    ),
}
EVENTS = {
    "an event is lost": Damage(
        f"DELETE FROM chat_event WHERE room_id = {BUSY} AND version = 13",
        {"room": BUSY, "version": 14, "after": 12},
        ("log_gap",),
    ),
    "the event of a message is lost": Damage(
        f"DELETE FROM chat_event WHERE room_id = {BUSY} AND version = 6",
        {"room": BUSY, "version": 7, "after": 5},
        ("log_gap", "log_messages"),
    ),
    "a message is added twice": Damage(
        f"UPDATE chat_event SET message_id = 9 WHERE room_id = {BUSY} AND version = 6",
        {"room": BUSY, "version": 6, "seq": 2, "after": 2},
        ("log_messages",),
    ),
    "the first message is added by no event": Damage(
        "UPDATE chat_event SET type = 'room_updated', message_id = NULL"
        f" WHERE room_id = {BUSY} AND version = 4",
        {"room": BUSY, "version": 5, "seq": 2, "after": 0},
        ("log_messages",),
    ),
    "the last message is added by no event": Damage(
        "INSERT INTO chat_message (room_id, seq, user_id, client_id, content, created_at)"
        f" SELECT id, 10, 'bob', 'key', 'not logged', bumped_at FROM chat_room WHERE id = {BUSY};"
        f" UPDATE chat_room SET last_seq = 10, bump_id = m.id FROM chat_message m"
        f" WHERE chat_room.id = {BUSY} AND m.room_id = {BUSY} AND m.seq = 10",
        {"room": BUSY, "seq": 10, "after": 9},
        ("log_messages",),
    ),
    "the last message of a pruned log is added by no event": Damage(
        "INSERT INTO chat_message (room_id, seq, user_id, client_id, content, created_at)"
        f" SELECT id, 5, 'bob', 'key', 'not logged', bumped_at FROM chat_room"
        f" WHERE id = {HALF_FORGOTTEN};"
        " UPDATE chat_room SET last_seq = 5, bump_id = m.id FROM chat_message m"
        f" WHERE chat_room.id = {HALF_FORGOTTEN} AND m.room_id = {HALF_FORGOTTEN} AND m.seq = 5",
        {"room": HALF_FORGOTTEN, "seq": 5, "after": 4},
        ("log_messages",),
    ),
    "an event has a type of its own": Damage(
        f"UPDATE chat_event SET type = 'nonsense' WHERE room_id = {BUSY} AND version = 13",
        {"room": BUSY, "version": 13},
        ("event_malformed",),
    ),
    "a join lacks its time": Damage(
        f"UPDATE chat_event SET joined_at = NULL WHERE room_id = {BUSY} AND version = 15",
        {"room": BUSY, "version": 15},
        ("event_malformed",),
    ),
    "an event tells another room's message": Damage(
        f"UPDATE chat_event SET message_id = 1 WHERE room_id = {BUSY} AND version = 6",
        {"room": BUSY, "version": 6, "message": 1},
        ("event_wrong_message", "log_messages"),
    ),
    "a message was deleted by hand": Damage(
        "UPDATE chat_message SET content = '', deleted_at = now()"
        f" WHERE room_id = {BUSY} AND seq = 9",
        {"room": BUSY, "message": 16},
        ("log_deletions",),
    ),
    "a deletion names a message that is there": Damage(
        f"UPDATE chat_event SET message_id = 12 WHERE room_id = {BUSY} AND version = 12",
        {"room": BUSY, "version": 12, "message": 12},
        ("event_wrong_message", "log_deletions"),
    ),
}
DATABASE = {
    "the installation is gone": Damage(
        "DELETE FROM chat_installation",
        {"table": "chat_installation"},
        ("installation_missing",),
    ),
    "a backup was restored": Damage(
        "UPDATE chat_installation SET identity = 'another cluster'",
        {"identity": "another cluster"},
        ("database_copied",),
    ),
    "a sequence was set back": Damage(
        "SELECT setval('chat_message_id_seq', 1)", {"table": "chat_message"}, ("sequence_behind",)
    ),
    "a sequence begins at an id that is taken": Damage(
        "SELECT setval('chat_event_id_seq', max(id), false) FROM chat_event",
        {"table": "chat_event"},
        ("sequence_behind",),
    ),
    "keys may repeat": Damage(
        "ALTER TABLE chat_message DROP CONSTRAINT chat_message_client_id_once",
        {"table": "chat_message", "constraint": "chat_message_client_id_once"},
        ("constraint_missing",),
    ),
    "a foreign key is gone": Damage(
        "DO $$ BEGIN EXECUTE (SELECT 'ALTER TABLE chat_event DROP CONSTRAINT ' || conname"
        " FROM pg_constraint WHERE conrelid = 'chat_event'::regclass"
        " AND confrelid = 'chat_room'::regclass); END $$",
        {"table": "chat_event", "constraint": "f(room_id)"},
        ("constraint_missing",),
    ),
    "foreign keys are not held": Damage(
        "ALTER TABLE chat_message DISABLE TRIGGER ALL", {}, ("constraint_not_in_force",)
    ),
    "a rule was never validated": Damage(
        "ALTER TABLE chat_room ADD CONSTRAINT mine CHECK (id > 0) NOT VALID",
        {"table": "chat_room", "constraint": "mine"},
        ("constraint_not_in_force",),
    ),
    "an index is gone": Damage(
        "DROP INDEX chat_outbox_partition_order",
        {"table": "chat_outbox", "index": "chat_outbox_partition_order"},
        ("index_missing",),
    ),
    "an index was broken off": Damage(
        "UPDATE pg_index SET indisvalid = false"
        " WHERE indexrelid = 'chat_room_search_text'::regclass",
        {"table": "chat_room", "index": "chat_room_search_text"},
        ("index_invalid",),
    ),
    "a function is gone": Damage(
        "DROP FUNCTION chat.rename_room", {"function": "rename_room"}, ("function_missing",)
    ),
    "a function of the same name was added": Damage(
        "CREATE FUNCTION chat.audience_of(p_room_id text) RETURNS text[]"
        " LANGUAGE sql STABLE AS $$ SELECT '{}'::text[] $$",
        {"function": "audience_of"},
        ("function_altered",),
    ),
    "a function was replaced": Damage(
        "CREATE OR REPLACE FUNCTION chat.audience_of(p_room chat_room) RETURNS text[]"
        " LANGUAGE sql STABLE AS $$ SELECT '{}'::text[] $$",
        {"function": "audience_of"},
        ("function_altered",),
    ),
    "another release was installed": Damage(
        "CREATE OR REPLACE FUNCTION chat.audience_of(p_room chat_room) RETURNS text[]"
        " LANGUAGE sql STABLE AS $$ SELECT '{}'::text[] $$;"
        "COMMENT ON SCHEMA chat IS 'besedka functions of another release'",
        {"function": "audience_of"},
        ("functions_of_other_release",),
    ),
    "a table is gone": Damage(
        "DROP TABLE chat_outbox",
        {"error": 'relation "chat_outbox" does not exist'},
        ("table_altered",),
    ),
    "a column is gone": Damage(
        "ALTER TABLE chat_member DROP COLUMN channel",
        {"error": "column m.channel does not exist"},
        ("table_altered",),
    ),
    "a sequence is gone": Damage(
        "ALTER TABLE chat_message ALTER id DROP IDENTITY",
        {"error": 'relation "chat_message_id_seq" does not exist'},
        ("table_altered",),
    ),
    "a migration was not applied": Damage(
        "DELETE FROM django_migrations WHERE name = '0003_message_of_user'",
        {"migration": "0003_message_of_user"},
        ("migration_missing",),
    ),
    "the database is read-only": Damage(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on',"
        " current_database()); END $$",
        {},
        ("database_read_only",),
    ),
    # What stands in front of pg_catalog is asked first.
    "the server says that it is recovering": Damage(
        "CREATE SCHEMA fake; CREATE FUNCTION fake.pg_is_in_recovery() RETURNS boolean"
        " LANGUAGE sql AS 'SELECT true'; DO $$ BEGIN EXECUTE format("
        "'ALTER DATABASE %I SET search_path = fake, pg_catalog, public',"
        " current_database()); END $$",
        {},
        ("database_in_recovery",),
    ),
}
DAMAGES = ROOMS | MEMBERS | MESSAGES | EVENTS | OUTBOX | DATABASE
