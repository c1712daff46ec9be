-- name: add_members
-- Adds users to a room, an outcome row for each; see functions/members.sql.
SELECT user_id, outcome, room::text
FROM chat.add_members(%(room_id)s, %(user_ids)s::text[]);

-- name: remove_member
-- Removes a user from a room; see functions/members.sql.
SELECT outcome, room::text
FROM chat.remove_member(%(room_id)s, %(user_id)s);

-- name: list_members
-- A page of members by user id, after one of them, for a member only.
WITH access AS (
    SELECT EXISTS (SELECT FROM chat_member o WHERE o.room_id = %(room_id)s
                   AND o.user_id = %(user_id)s) AS is_member
), page AS (
    SELECT p.user_id, p.joined_at FROM chat_member p
    WHERE (SELECT is_member FROM access) AND p.room_id = %(room_id)s
      AND p.user_id > coalesce(%(position)s::text, '')
    ORDER BY p.user_id LIMIT %(limit)s
)
SELECT access.is_member, page.user_id AS user, chat.time_text(page.joined_at) AS joined_at
FROM access LEFT JOIN page ON true
ORDER BY page.user_id;

-- name: list_members_backwards
-- The page of members before one of them, the nearest first, for a member only.
WITH access AS (
    SELECT EXISTS (SELECT FROM chat_member o WHERE o.room_id = %(room_id)s
                   AND o.user_id = %(user_id)s) AS is_member
), page AS (
    SELECT p.user_id, p.joined_at FROM chat_member p
    WHERE (SELECT is_member FROM access) AND p.room_id = %(room_id)s
      AND p.user_id < %(position)s::text
    ORDER BY p.user_id DESC LIMIT %(limit)s
)
SELECT access.is_member, page.user_id AS user, chat.time_text(page.joined_at) AS joined_at
FROM access LEFT JOIN page ON true
ORDER BY page.user_id DESC;
