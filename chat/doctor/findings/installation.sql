-- name: installation_missing
-- error: chat_installation has no row, so no event can be queued. docs/operations.md has the SQL
-- for a new row; then run `manage.py after_restore`.
SELECT 'chat_installation' AS table WHERE NOT EXISTS (SELECT FROM chat_installation);

-- name: database_copied
-- error: The database was restored, copied or promoted. Run `manage.py after_restore`, with
-- `--nothing-lost` if no data was lost.
SELECT i.identity, chat.database_identity() AS now
FROM chat_installation i WHERE i.identity <> chat.database_identity();

-- name: room_missing
-- error: Rows refer to a room that does not exist. {restore}
SELECT 'chat_room_key' AS table, k.room_id AS room
FROM (SELECT room_id FROM chat_room_key ORDER BY room_id DESC LIMIT 10000) k
WHERE NOT EXISTS (SELECT FROM chat_room r WHERE r.id = k.room_id);

-- name: sequence_behind
-- error: The next insert will draw an id that is already used, and fail.
SELECT drawn.table FROM (VALUES
    ('chat_room', (SELECT max(id) FROM chat_room),
     (SELECT last_value + is_called::int FROM chat_room_id_seq)),
    ('chat_member', (SELECT max(id) FROM chat_member),
     (SELECT last_value + is_called::int FROM chat_member_id_seq)),
    ('chat_message', (SELECT max(id) FROM chat_message),
     (SELECT last_value + is_called::int FROM chat_message_id_seq)),
    ('chat_event', (SELECT max(id) FROM chat_event),
     (SELECT last_value + is_called::int FROM chat_event_id_seq)),
    ('chat_outbox', (SELECT max(id) FROM chat_outbox),
     (SELECT last_value + is_called::int FROM chat_outbox_id_seq))
) AS drawn ("table", greatest, next)
-- A sequence is read as it is now, which is later than the snapshot: an insert that runs meanwhile
-- cannot make it seem behind.
WHERE drawn.greatest >= drawn.next;
