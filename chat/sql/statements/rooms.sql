-- name: create_room
-- Creates a room with its first members; see functions/rooms.sql.
SELECT outcome, refused_user_id, room::text, retry_after
FROM chat.create_room_v2(
    %(by)s::json, %(name)s, %(user_ids)s::text[], %(client_id)s::text, %(kind)s,
    %(data)s::json, %(history)s, %(external_id)s::text, %(created_per_user)s::text,
    %(rooms_per_user)s, %(members_per_room)s);

-- name: open_direct_room
-- Finds or creates the one room of some people; see functions/direct.sql.
SELECT outcome, refused_user_id, room::text, retry_after
FROM chat.open_direct_room(%(by)s::json, %(user_ids)s::text[], %(opened_per_user)s::text);

-- name: list_rooms
-- A user's rooms, the latest message first, after a position in that order. Only the rooms of the
-- page are composed. There is no index by `bump_id`, which changes with each message: all rooms of
-- the user are read and the first ones kept. As an array their ids are looked up in one pass
-- through the index; as a join, a user with many rooms is planned as a scan of all rooms. The user's
-- membership in each room of the page is looked up one by one: as a plain join, all memberships of the
-- user are compared with each room.
--
-- bumped_at is given for a cursor of the release before, whose order was by time.
SELECT chat.compose_room_v2(page, m, o) AS room
FROM (
    SELECT r.* FROM chat_room r
    WHERE r.id = ANY (ARRAY(SELECT o.room_id FROM chat_member o WHERE o.user_id = %(user_id)s))
      AND (r.archived_at IS NOT NULL) = %(archived)s
      AND (%(bump_id)s::bigint IS NULL
           OR (r.bump_id, r.id) < (%(bump_id)s::bigint, %(room_id)s::bigint))
      AND (%(bumped_at)s::timestamptz IS NULL
           OR (r.bumped_at, r.id) < (%(bumped_at)s::timestamptz, %(room_id)s::bigint))
    ORDER BY r.bump_id DESC, r.id DESC
    LIMIT %(limit)s
) AS page
CROSS JOIN LATERAL (
    SELECT * FROM chat_member n WHERE n.room_id = page.id AND n.user_id = %(user_id)s LIMIT 1
) AS o
LEFT JOIN chat_message m ON m.room_id = page.id AND m.seq = page.last_seq
    AND (page.history = 'all' OR m.seq > o.joined_seq)
ORDER BY page.bump_id DESC, page.id DESC;

-- name: list_rooms_backwards
-- A user's rooms before a position in that order, the nearest first.
SELECT chat.compose_room_v2(page, m, o) AS room
FROM (
    SELECT r.* FROM chat_room r
    WHERE r.id = ANY (ARRAY(SELECT o.room_id FROM chat_member o WHERE o.user_id = %(user_id)s))
      AND (r.archived_at IS NOT NULL) = %(archived)s
      AND (%(bump_id)s::bigint IS NULL
           OR (r.bump_id, r.id) > (%(bump_id)s::bigint, %(room_id)s::bigint))
      AND (%(bumped_at)s::timestamptz IS NULL
           OR (r.bumped_at, r.id) > (%(bumped_at)s::timestamptz, %(room_id)s::bigint))
    ORDER BY r.bump_id, r.id
    LIMIT %(limit)s
) AS page
CROSS JOIN LATERAL (
    SELECT * FROM chat_member n WHERE n.room_id = page.id AND n.user_id = %(user_id)s LIMIT 1
) AS o
LEFT JOIN chat_message m ON m.room_id = page.id AND m.seq = page.last_seq
    AND (page.history = 'all' OR m.seq > o.joined_seq)
ORDER BY page.bump_id, page.id;

-- name: find_room
-- One room, if the user is a member; the host's service reads any room. The member is looked up first, so
-- that a room of others takes what a room takes that does not exist.
SELECT chat.compose_room_v2(r, m, o, NULL, %(rights)s::json) AS room
FROM (SELECT %(room_id)s::bigint AS id) AS wanted
LEFT JOIN chat_member o ON o.room_id = wanted.id AND o.user_id = %(user_id)s
JOIN chat_room r
    ON r.id = CASE WHEN o.id IS NOT NULL OR %(is_service)s THEN wanted.id END
    AND r.deleted_at IS NULL
LEFT JOIN chat_message m ON m.room_id = r.id AND m.seq = r.last_seq
    AND (r.history = 'all' OR m.seq > o.joined_seq OR %(is_service)s);

-- name: rename_room
-- Renames a room; see functions/rooms.sql.
SELECT outcome FROM chat.rename_room(%(room_id)s, %(name)s);
