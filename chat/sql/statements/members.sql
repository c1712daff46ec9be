-- name: add_members
-- Adds users to a room with a role, an outcome row for each; see functions/members.sql.
SELECT user_id, outcome, room::text
FROM chat.add_members_v2(
    %(room_id)s, %(user_ids)s::text[], %(role)s::text, %(by)s::json, %(allowed)s::text[],
    %(members_most)s::int);

-- name: remove_member
-- Removes a user from a room for somebody else; see functions/members.sql.
SELECT outcome, room::text
FROM chat.remove_member_v2(%(room_id)s, %(user_id)s, %(by)s::json, %(allowed)s::text[]);

-- name: update_member
-- Changes a member's role, or the mute; see functions/members.sql.
SELECT outcome, member::text
FROM chat.update_member(
    %(room_id)s, %(user_id)s, %(role)s::text, %(sets_mute)s, %(muted_until)s::timestamptz,
    %(by)s::json, %(change_allowed)s::text[], %(mute_allowed)s::text[]);

-- name: list_members
-- A page of members by user id, after one of them, for a member or the service;
-- of one role, or of all.
WITH access AS (
    SELECT CASE WHEN %(is_service)s
                THEN EXISTS (SELECT FROM chat_room r WHERE r.id = %(room_id)s)
                ELSE EXISTS (SELECT FROM chat_member o WHERE o.room_id = %(room_id)s
                             AND o.user_id = %(user_id)s) END AS may_read
), page AS (
    SELECT p.user_id, p.joined_at, p.role, p.muted_until FROM chat_member p
    WHERE (SELECT may_read FROM access) AND p.room_id = %(room_id)s
      AND (%(role)s::text IS NULL OR p.role = %(role)s::text)
      AND p.user_id > coalesce(%(position)s::text, '')
    ORDER BY p.user_id LIMIT %(limit)s
)
SELECT access.may_read, page.user_id AS user, chat.time_text(page.joined_at) AS joined_at,
       page.role, CASE WHEN page.muted_until > now() THEN chat.time_text(page.muted_until) END
           AS muted_until
FROM access LEFT JOIN page ON true
ORDER BY page.user_id;

-- name: list_members_backwards
-- The page of members before one of them, the nearest first, in the same way.
WITH access AS (
    SELECT CASE WHEN %(is_service)s
                THEN EXISTS (SELECT FROM chat_room r WHERE r.id = %(room_id)s)
                ELSE EXISTS (SELECT FROM chat_member o WHERE o.room_id = %(room_id)s
                             AND o.user_id = %(user_id)s) END AS may_read
), page AS (
    SELECT p.user_id, p.joined_at, p.role, p.muted_until FROM chat_member p
    WHERE (SELECT may_read FROM access) AND p.room_id = %(room_id)s
      AND (%(role)s::text IS NULL OR p.role = %(role)s::text)
      AND p.user_id < %(position)s::text
    ORDER BY p.user_id DESC LIMIT %(limit)s
)
SELECT access.may_read, page.user_id AS user, chat.time_text(page.joined_at) AS joined_at,
       page.role, CASE WHEN page.muted_until > now() THEN chat.time_text(page.muted_until) END
           AS muted_until
FROM access LEFT JOIN page ON true
ORDER BY page.user_id DESC;

-- name: list_ranked_members
-- A page of owners, or of moderators, by an index that has no one else.
WITH access AS (
    SELECT CASE WHEN %(is_service)s
                THEN EXISTS (SELECT FROM chat_room r WHERE r.id = %(room_id)s)
                ELSE EXISTS (SELECT FROM chat_member o WHERE o.room_id = %(room_id)s
                             AND o.user_id = %(user_id)s) END AS may_read
), page AS (
    SELECT p.user_id, p.joined_at, p.role, p.muted_until FROM chat_member p
    WHERE (SELECT may_read FROM access) AND p.room_id = %(room_id)s
      AND p.role <> 'member' AND p.role = %(role)s::text
      AND p.user_id > coalesce(%(position)s::text, '')
    ORDER BY p.user_id LIMIT %(limit)s
)
SELECT access.may_read, page.user_id AS user, chat.time_text(page.joined_at) AS joined_at,
       page.role, CASE WHEN page.muted_until > now() THEN chat.time_text(page.muted_until) END
           AS muted_until
FROM access LEFT JOIN page ON true
ORDER BY page.user_id;

-- name: list_ranked_members_backwards
-- The page of them before one of them, the nearest first.
WITH access AS (
    SELECT CASE WHEN %(is_service)s
                THEN EXISTS (SELECT FROM chat_room r WHERE r.id = %(room_id)s)
                ELSE EXISTS (SELECT FROM chat_member o WHERE o.room_id = %(room_id)s
                             AND o.user_id = %(user_id)s) END AS may_read
), page AS (
    SELECT p.user_id, p.joined_at, p.role, p.muted_until FROM chat_member p
    WHERE (SELECT may_read FROM access) AND p.room_id = %(room_id)s
      AND p.role <> 'member' AND p.role = %(role)s::text
      AND p.user_id < %(position)s::text
    ORDER BY p.user_id DESC LIMIT %(limit)s
)
SELECT access.may_read, page.user_id AS user, chat.time_text(page.joined_at) AS joined_at,
       page.role, CASE WHEN page.muted_until > now() THEN chat.time_text(page.muted_until) END
           AS muted_until
FROM access LEFT JOIN page ON true
ORDER BY page.user_id DESC;

-- name: find_member
-- One member, for a member of the room or the service.
WITH access AS (
    SELECT CASE WHEN %(is_service)s
                THEN EXISTS (SELECT FROM chat_room r WHERE r.id = %(room_id)s)
                ELSE EXISTS (SELECT FROM chat_member o WHERE o.room_id = %(room_id)s
                             AND o.user_id = %(user_id)s) END AS may_read
)
SELECT access.may_read, m.user_id AS user, chat.time_text(m.joined_at) AS joined_at, m.role,
       CASE WHEN m.muted_until > now() THEN chat.time_text(m.muted_until) END AS muted_until
FROM access LEFT JOIN chat_member m
    ON access.may_read AND m.room_id = %(room_id)s AND m.user_id = %(wanted_id)s;
