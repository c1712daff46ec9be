-- name: send_messages
-- Sends messages, an outcome row for each; see functions/messages.sql.
SELECT outcome, message::text, retry_after, chat.time_text(until) AS until
FROM chat.send_messages_v2(
    %(room_ids)s::bigint[], %(user_ids)s::text[], %(client_ids)s::text[], %(contents)s::text[],
    %(are_limited)s::boolean[], %(sends_per_user)s::text, %(sends_per_room)s::text, %(wait)s,
    %(allowed)s::text[])
ORDER BY ordinal;

-- name: list_messages
-- Messages before and after an anchor, newest first, for a member only. Without an anchor, the newest.
WITH access AS (
    SELECT EXISTS (SELECT FROM chat_member o WHERE o.room_id = %(room_id)s
                   AND o.user_id = %(user_id)s) AS is_member
), anchor AS (
    SELECT CASE WHEN %(anchor)s::bigint IS NULL THEN 9223372036854775807
                ELSE (SELECT a.seq FROM chat_message a
                      WHERE a.id = %(anchor)s::bigint AND a.room_id = %(room_id)s) END AS seq
), page AS (
    (SELECT p.* FROM chat_message p
     WHERE (SELECT is_member FROM access) AND p.room_id = %(room_id)s
       AND p.seq < (SELECT seq FROM anchor)
     ORDER BY p.seq DESC LIMIT %(older)s)
    UNION ALL
    (SELECT p.* FROM chat_message p
     WHERE (SELECT is_member FROM access) AND p.room_id = %(room_id)s
       AND p.seq > (SELECT seq FROM anchor) - %(with_anchor)s::boolean::int
     ORDER BY p.seq LIMIT %(newer)s)
)
SELECT access.is_member, anchor.seq IS NOT NULL AS is_anchored,
       CASE WHEN page.seq IS NOT NULL THEN chat.message_body(page) END::text AS message
FROM access CROSS JOIN anchor LEFT JOIN page ON true
ORDER BY page.seq DESC;

-- name: delete_message
-- Deletes a message's text; see functions/messages.sql.
SELECT outcome FROM chat.delete_message(%(message_id)s);
