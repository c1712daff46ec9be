-- name: delete_room
-- Ends a room for everyone; see functions/room_deletions.sql.
SELECT outcome, receipt::text FROM chat.delete_room(%(by)s::json, %(room_id)s);

-- name: continue_room_deletion
-- Deletes some rows of rooms that were deleted; see functions/room_deletions.sql.
SELECT outcome, room_id FROM chat.continue_room_deletion(%(limit)s::int);

-- name: find_room_deletion
-- The receipt of a deletion.
SELECT chat.deletion_receipt(d)::text AS receipt FROM chat_room_deletion d
WHERE d.room_id = %(room_id)s;

-- name: is_room_deletion_open
-- Whether rows of deleted rooms are left to delete.
SELECT EXISTS (
    SELECT FROM chat_room_deletion d WHERE d.finished_at IS NULL ORDER BY d.id LIMIT 1) AS is_open;
