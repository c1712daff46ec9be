-- name: search_rooms
-- Rooms whose name contains a text in either case, newest first, below a room id.
SELECT access.is_member, chat.room_body(r, access.is_member)::text AS room
FROM chat_room r
CROSS JOIN LATERAL (SELECT EXISTS (
    SELECT FROM chat_member m WHERE m.room_id = r.id AND m.user_id = %(user_id)s) AS is_member
) AS access
WHERE r.id < %(position)s
  AND casefold(r.name COLLATE pg_unicode_fast) LIKE chat.containing(%(text)s)
ORDER BY r.id DESC
LIMIT %(limit)s;

-- name: search_rooms_backwards
-- The same above a room id, the nearest first.
SELECT access.is_member, chat.room_body(r, access.is_member)::text AS room
FROM chat_room r
CROSS JOIN LATERAL (SELECT EXISTS (
    SELECT FROM chat_member m WHERE m.room_id = r.id AND m.user_id = %(user_id)s) AS is_member
) AS access
WHERE r.id > %(position)s
  AND casefold(r.name COLLATE pg_unicode_fast) LIKE chat.containing(%(text)s)
ORDER BY r.id
LIMIT %(limit)s;
