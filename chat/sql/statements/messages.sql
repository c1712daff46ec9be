-- name: send_messages
-- Sends messages, an outcome row for each; see functions/messages.sql.
SELECT outcome, message::text, retry_after, chat.time_text(until) AS until, is_notified
FROM chat.send_messages_v2(
    %(room_ids)s::bigint[], %(user_ids)s::text[], %(client_ids)s::text[], %(contents)s::text[],
    %(are_limited)s::boolean[], %(sends_per_user)s::text, %(sends_per_room)s::text, %(wait)s,
    %(allowed)s::text[])
ORDER BY ordinal;

-- name: list_messages
-- Messages before and after an anchor, newest first, for a member, or for the host's service. Without an
-- anchor, the newest. A member whose history is `since_join` sees those after `floor`, the last message
-- before joining: an anchor that is older is none. The member is looked up first, and nothing else for anyone
-- who is none, so that a room of others takes what a room takes that does not exist.
WITH access AS (
    SELECT CASE WHEN r.history = 'since_join' AND NOT %(is_service)s::boolean
                THEN o.joined_seq ELSE 0 END AS floor
    FROM (SELECT %(room_id)s::bigint AS id) AS wanted
    LEFT JOIN chat_member o ON o.room_id = wanted.id AND o.user_id = %(user_id)s
    JOIN chat_room r ON r.id = CASE WHEN o.id IS NOT NULL OR %(is_service)s::boolean
                                    THEN wanted.id END AND r.deleted_at IS NULL
), anchor AS (
    SELECT CASE WHEN %(anchor)s::bigint IS NULL THEN 9223372036854775807
                -- By its id alone: by room and seq it would be looked for in all of the room.
                ELSE (SELECT CASE WHEN a.room_id = %(room_id)s AND a.seq > (SELECT floor FROM access)
                                  THEN a.seq END
                      FROM chat_message a
                      WHERE a.id = CASE WHEN (SELECT floor FROM access) >= 0
                                        THEN %(anchor)s::bigint END) END AS seq
), page AS (
    (SELECT p.* FROM chat_message p
     WHERE p.room_id = %(room_id)s AND p.seq > (SELECT floor FROM access)
       AND p.seq < (SELECT seq FROM anchor)
     ORDER BY p.seq DESC LIMIT %(older)s)
    UNION ALL
    (SELECT p.* FROM chat_message p
     WHERE p.room_id = %(room_id)s AND p.seq > (SELECT floor FROM access)
       AND p.seq > (SELECT seq FROM anchor) - %(with_anchor)s::boolean::int
     ORDER BY p.seq LIMIT %(newer)s)
)
SELECT access.floor, anchor.seq IS NOT NULL AS is_anchored,
       CASE WHEN page.seq IS NOT NULL THEN chat.message_body(page) END::text AS message
FROM (SELECT) AS always LEFT JOIN access ON true CROSS JOIN anchor LEFT JOIN page ON true
ORDER BY page.seq DESC;

-- name: delete_message
-- Deletes a message's text; see functions/messages.sql.
SELECT outcome FROM chat.delete_message(%(message_id)s);
