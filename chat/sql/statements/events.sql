-- name: list_events
-- A room's events after a version, oldest first, for a member only, with the log's bounds: one
-- statement, so that bounds and events are of one snapshot.
WITH room AS (
    SELECT r.id, r.name, r.version AS head,
           coalesce((SELECT min(e.version) - 1 FROM chat_event e WHERE e.room_id = r.id),
                    r.version) AS floor
    FROM chat_room r
    JOIN chat_member m ON m.room_id = r.id AND m.user_id = %(user_id)s
    WHERE r.id = %(room_id)s
), page AS (
    SELECT e.* FROM chat_event e, room
    WHERE e.room_id = %(room_id)s AND room.floor <= %(after)s AND e.version > %(after)s
    ORDER BY e.version LIMIT %(limit)s
)
SELECT room.floor, room.head, page.version, CASE
           WHEN page.type IN ('message_added', 'message_deleted')
               THEN chat.message_event(page.type, state.room, t)
           WHEN page.type IN ('user_joined', 'user_left')
               THEN chat.member_event(page.type, state.room, page.user_id, page.joined_at)
           WHEN page.type = 'room_updated'
               THEN chat.room_event(page.type, state.room)
       END::text AS event
FROM room
LEFT JOIN page ON true
LEFT JOIN chat_message t ON t.id = page.message_id
CROSS JOIN LATERAL (SELECT chat.event_room(
    room.id, room.name, page.version, page.bumped_at, page.member_count) AS room) AS state
ORDER BY page.version;

-- name: prune_events
-- Deletes some of the log's oldest events; see functions/events.sql.
SELECT chat.prune_events(
    clock_timestamp() - %(days)s * interval '1 day', %(limit)s::int) AS pruned;
