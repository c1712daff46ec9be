-- name: send_messages
-- Sends messages, an outcome row for each; see functions/messages.sql.
SELECT ordinal, outcome, message_id, message_seq, sent_at, deleted_at
FROM chat.send_messages(
    %(room_ids)s::bigint[], %(user_ids)s::text[], %(client_ids)s::text[], %(contents)s::text[],
    %(wait)s);

-- name: list_messages_before
-- A page of messages older than an anchor (or the newest), newest first, for a member only.
WITH access AS (
    SELECT EXISTS (
        SELECT FROM chat_member m
        WHERE m.room_id = %(room_id)s AND m.user_id = %(user_id)s) AS is_member
), anchor AS (
    SELECT a.seq FROM chat_message a WHERE a.id = %(anchor)s::bigint AND a.room_id = %(room_id)s
), page AS (
    SELECT p.id, p.seq, p AS message FROM chat_message p, access
    WHERE access.is_member AND p.room_id = %(room_id)s
      AND p.seq < CASE WHEN %(anchor)s::bigint IS NULL THEN 9223372036854775807
                       ELSE (SELECT seq FROM anchor) END
    ORDER BY p.seq DESC LIMIT %(limit)s
)
SELECT access.is_member,
       %(anchor)s::bigint IS NULL OR EXISTS (SELECT FROM anchor) AS is_anchored,
       page.id, chat.message_body(page.message)::text AS message
FROM access LEFT JOIN page ON true
ORDER BY page.seq DESC;

-- name: list_messages_after
-- The page of messages next newer than an anchor, oldest first, for a member only.
WITH access AS (
    SELECT EXISTS (
        SELECT FROM chat_member m
        WHERE m.room_id = %(room_id)s AND m.user_id = %(user_id)s) AS is_member
), anchor AS (
    SELECT a.seq FROM chat_message a WHERE a.id = %(anchor)s::bigint AND a.room_id = %(room_id)s
), page AS (
    SELECT p.id, p.seq, p AS message FROM chat_message p, access
    WHERE access.is_member AND p.room_id = %(room_id)s AND p.seq > (SELECT seq FROM anchor)
    ORDER BY p.seq LIMIT %(limit)s
)
SELECT access.is_member, EXISTS (SELECT FROM anchor) AS is_anchored,
       page.id, chat.message_body(page.message)::text AS message
FROM access LEFT JOIN page ON true
ORDER BY page.seq;

-- name: list_messages_around
-- The messages on both sides of an anchor, which is among them, newest first, for a member only.
WITH access AS (
    SELECT EXISTS (
        SELECT FROM chat_member m
        WHERE m.room_id = %(room_id)s AND m.user_id = %(user_id)s) AS is_member
), anchor AS (
    SELECT a.seq FROM chat_message a WHERE a.id = %(anchor)s::bigint AND a.room_id = %(room_id)s
), page AS (
    SELECT p.id, p.seq, p AS message FROM chat_message p, access, anchor
    WHERE access.is_member AND p.room_id = %(room_id)s
      AND p.seq BETWEEN anchor.seq - %(older)s::bigint AND anchor.seq + %(newer)s::bigint
)
SELECT access.is_member, EXISTS (SELECT FROM anchor) AS is_anchored,
       page.id, chat.message_body(page.message)::text AS message
FROM access LEFT JOIN page ON true
ORDER BY page.seq DESC;

-- name: delete_message
-- Deletes a message's text; see functions/messages.sql.
SELECT outcome FROM chat.delete_message(%(message_id)s);
