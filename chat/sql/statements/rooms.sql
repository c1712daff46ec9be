-- name: create_room
-- Creates a room with its first members; see functions/rooms.sql.
SELECT outcome, invalid_user_id, room::text
FROM chat.create_room(
    %(name)s, %(user_ids)s::text[], %(created_by)s::text, %(client_id)s::text);

-- name: list_rooms
-- A user's rooms, the latest message first, after a position in that order.
SELECT chat.room_body(r)::text AS room
FROM chat_member m
JOIN chat_room r ON r.id = m.room_id
WHERE m.user_id = %(user_id)s
  AND (%(bumped_at)s::timestamptz IS NULL
       OR (r.bumped_at, r.id) < (%(bumped_at)s::timestamptz, %(room_id)s::bigint))
ORDER BY r.bumped_at DESC, r.id DESC
LIMIT %(limit)s;

-- name: list_rooms_backwards
-- A user's rooms before a position in that order, the nearest first.
SELECT chat.room_body(r)::text AS room
FROM chat_member m
JOIN chat_room r ON r.id = m.room_id
WHERE m.user_id = %(user_id)s
  AND (r.bumped_at, r.id) > (%(bumped_at)s::timestamptz, %(room_id)s::bigint)
ORDER BY r.bumped_at, r.id
LIMIT %(limit)s;

-- name: find_room
-- One room, if the user is a member.
SELECT chat.room_body(r)::text AS room
FROM chat_member m
JOIN chat_room r ON r.id = m.room_id
WHERE m.user_id = %(user_id)s AND m.room_id = %(room_id)s;

-- name: rename_room
-- Renames a room; see functions/rooms.sql.
SELECT outcome FROM chat.rename_room(%(room_id)s, %(name)s);
