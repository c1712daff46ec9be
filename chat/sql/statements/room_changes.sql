-- name: change_room
-- Changes a room; see functions/room_changes.sql.
SELECT outcome, subject, room::text
FROM chat.change_room(
    %(by)s::json, %(room_id)s, %(changes)s::json,
    %(change_allowed)s::text[], %(archive_allowed)s::text[]);
