-- name: ban_from_room
-- Bans a user from a room; see functions/bans.sql.
SELECT outcome, ban::text, is_member
FROM chat.ban_from_room(
    %(room_id)s, %(user_id)s, %(until)s::timestamptz, %(reason)s, %(deletes)s,
    %(by)s::json, %(allowed)s::text[]);

-- name: ban_from_all_rooms
-- Bans a user from all rooms; see functions/bans.sql.
SELECT outcome, ban::text, NULL::boolean AS is_member
FROM chat.ban_from_all_rooms(
    %(user_id)s, %(until)s::timestamptz, %(reason)s, %(deletes)s, %(by)s::json);

-- name: remove_banned_member
-- Ends one membership of a user who is banned from all rooms; see functions/bans.sql.
SELECT outcome FROM chat.remove_banned_member(%(room_id)s, %(user_id)s, %(by)s::json);

-- name: lift_ban
-- Lifts a ban; see functions/bans.sql.
SELECT outcome FROM chat.lift_ban(
    %(room_id)s::bigint, %(user_id)s, %(by)s::json, %(allowed)s::text[]);

-- name: delete_recent_messages
-- Deletes some of a user's latest messages; see functions/bans.sql.
SELECT deleted, next_before FROM chat.delete_recent_messages(
    %(user_id)s, %(room_id)s::bigint, clock_timestamp() - %(seconds)s * interval '1 second',
    %(before)s::bigint);

-- name: list_rooms_to_leave
-- The rooms of a user that are not direct, by id, after one of them.
SELECT m.room_id
FROM chat_member m JOIN chat_room r ON r.id = m.room_id
WHERE m.user_id = %(user_id)s AND m.room_id > %(after)s AND r.kind <> 'direct'
ORDER BY m.room_id LIMIT %(limit)s;

-- name: find_ban
-- The ban of a user from all rooms that is in force.
SELECT chat.ban_body(b)::text AS ban FROM chat_ban b
WHERE b.user_id = %(user_id)s AND b.room_id IS NULL
  AND coalesce(b.until > clock_timestamp(), true);

-- name: list_bans
-- A page of the bans from a room that are in force, by user id, after one of them: for the service, and for
-- members whose role may ban.
WITH access AS (
    SELECT r.id IS NOT NULL AND (%(is_service)s OR m.role IS NOT NULL) AS is_visible,
           %(is_service)s OR r.kind || ':' || m.role = ANY (%(allowed)s::text[]) AS is_allowed
    FROM (SELECT) AS one
    LEFT JOIN chat_room r ON r.id = %(room_id)s
    LEFT JOIN chat_member m ON m.room_id = r.id AND m.user_id = %(reader)s
), page AS (
    SELECT b AS ban FROM chat_ban b
    WHERE (SELECT is_visible AND is_allowed FROM access) AND b.room_id = %(room_id)s
      AND b.user_id > coalesce(%(position)s::text, '')
      AND coalesce(b.until > clock_timestamp(), true)
    ORDER BY b.user_id LIMIT %(limit)s
)
SELECT access.is_visible, access.is_allowed,
       CASE WHEN (page.ban).id IS NOT NULL THEN chat.ban_body(page.ban)::text END AS ban
FROM access LEFT JOIN page ON true
ORDER BY (page.ban).user_id;

-- name: list_bans_backwards
-- The page of bans before one of them, the nearest first, in the same way.
WITH access AS (
    SELECT r.id IS NOT NULL AND (%(is_service)s OR m.role IS NOT NULL) AS is_visible,
           %(is_service)s OR r.kind || ':' || m.role = ANY (%(allowed)s::text[]) AS is_allowed
    FROM (SELECT) AS one
    LEFT JOIN chat_room r ON r.id = %(room_id)s
    LEFT JOIN chat_member m ON m.room_id = r.id AND m.user_id = %(reader)s
), page AS (
    SELECT b AS ban FROM chat_ban b
    WHERE (SELECT is_visible AND is_allowed FROM access) AND b.room_id = %(room_id)s
      AND b.user_id < %(position)s::text
      AND coalesce(b.until > clock_timestamp(), true)
    ORDER BY b.user_id DESC LIMIT %(limit)s
)
SELECT access.is_visible, access.is_allowed,
       CASE WHEN (page.ban).id IS NOT NULL THEN chat.ban_body(page.ban)::text END AS ban
FROM access LEFT JOIN page ON true
ORDER BY (page.ban).user_id DESC;
