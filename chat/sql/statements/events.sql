-- name: list_events
-- A room's events after a version, oldest first, for a member, or for the host's service, with the log's
-- bounds: one
-- statement, so that bounds and events are of one snapshot. The messages are looked up one by one: as
-- a plain join, the plan for any limit can be a scan of all messages.
WITH room AS (
    SELECT r.id, r.name, r.version AS head,
           greatest(
               coalesce((SELECT min(e.version) - 1 FROM chat_event e WHERE e.room_id = r.id),
                        r.version),
               -- Where the history is `since_join`, a member's log begins with the own joining.
               CASE WHEN r.history = 'since_join' AND NOT %(is_service)s::boolean
                    THEN m.joined_version - 1 END) AS floor
    FROM (SELECT %(room_id)s::bigint AS id) AS wanted
    LEFT JOIN chat_member m ON m.room_id = wanted.id AND m.user_id = %(user_id)s
    JOIN chat_room r ON r.id = CASE WHEN m.id IS NOT NULL OR %(is_service)s::boolean
                                    THEN wanted.id END AND r.deleted_at IS NULL
), page AS (
    SELECT e.version, e.message_id, e AS event FROM chat_event e, room
    WHERE e.room_id = %(room_id)s AND room.floor <= %(after)s AND e.version > %(after)s
    ORDER BY e.version LIMIT %(limit)s
)
SELECT room.floor, room.head, CASE WHEN page.version IS NOT NULL
           THEN chat.event_body(page.event, room.name, t) END::text AS event
FROM room
LEFT JOIN page ON true
LEFT JOIN LATERAL (
    SELECT * FROM chat_message t WHERE t.id = page.message_id LIMIT 1
) AS t ON true
ORDER BY page.version;

-- name: prune_events
-- Deletes some of the log's oldest events; see functions/events.sql.
SELECT chat.prune_events(
    clock_timestamp() - %(days)s * interval '1 day', %(limit)s::int) AS pruned;
