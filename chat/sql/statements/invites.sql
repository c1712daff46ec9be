-- name: create_invite
-- Creates an invite into a room; see functions/invites.sql.
SELECT outcome, invite::text
FROM chat.create_invite(
    %(room_id)s, %(seconds)s::int, %(max_uses)s::int, %(by)s::json, %(allowed)s::text[],
    %(waits)s);

-- name: revoke_invite
-- Revokes an invite of a room; see functions/invites.sql.
SELECT outcome
FROM chat.revoke_invite(
    %(room_id)s, %(invite_id)s, %(by)s::json, %(allowed)s::text[], %(waits)s);

-- name: accept_invite
-- Makes a user a member by an invite, within limits; see functions/invites.sql.
SELECT outcome, room::text, retry_after
FROM chat.accept_invite(
    %(invite_id)s, %(created_at)s::timestamptz, %(user_id)s, %(joins_per_user)s::text,
    %(rooms_per_user)s::int, %(members_per_room)s::int);

-- name: find_invite
-- Into which room an invite leads, as anyone sees it who has its token; no row where there is none.
SELECT r.id AS room_id, r.name, r.member_count, chat.time_text(i.expires_at) AS expires_at,
       chat.is_invite_gone(i) AS is_gone
FROM chat_invite i JOIN chat_room r ON r.id = i.room_id
WHERE i.id = %(invite_id)s AND i.created_at = %(created_at)s::timestamptz;

-- name: list_invites
-- A page of a room's invites, the newest first, for those who may create some.
WITH access AS (
    SELECT chat.find_refusal(r, %(actor)s::text, %(allowed)s::text[]) AS refusal
    FROM (VALUES (%(room_id)s::bigint)) AS asked (id) LEFT JOIN chat_room r ON r.id = asked.id
), page AS (
    SELECT i.id, i AS invite FROM chat_invite i
    WHERE (SELECT refusal IS NULL FROM access) AND i.room_id = %(room_id)s
      AND i.id < coalesce(%(position)s::bigint, 9223372036854775807)
    ORDER BY i.id DESC LIMIT %(limit)s
)
SELECT access.refusal, chat.invite_body(page.invite)::text AS invite
FROM access LEFT JOIN page ON true
ORDER BY page.id DESC;

-- name: list_invites_backwards
-- The page of a room's invites before one of them, the nearest first.
WITH access AS (
    SELECT chat.find_refusal(r, %(actor)s::text, %(allowed)s::text[]) AS refusal
    FROM (VALUES (%(room_id)s::bigint)) AS asked (id) LEFT JOIN chat_room r ON r.id = asked.id
), page AS (
    SELECT i.id, i AS invite FROM chat_invite i
    WHERE (SELECT refusal IS NULL FROM access) AND i.room_id = %(room_id)s
      AND i.id > %(position)s::bigint
    ORDER BY i.id LIMIT %(limit)s
)
SELECT access.refusal, chat.invite_body(page.invite)::text AS invite
FROM access LEFT JOIN page ON true
ORDER BY page.id;
