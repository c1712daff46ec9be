-- name: log_gap
-- error: The room's log has a gap: clients cannot fetch what is missing. {reset}
SELECT room_id AS room, version, previous AS after FROM (
    SELECT e.room_id, e.version, coalesce(
        lag(e.version) OVER (PARTITION BY e.room_id ORDER BY e.version),
        -- The first row of the chunk looks at the one before it.
        (SELECT max(b.version) FROM chat_event b
         WHERE b.room_id = e.room_id AND b.version < e.version),
        -- The log begins here.
        e.version - 1) AS previous
    FROM {chunk} e) AS event
WHERE version <> previous + 1 OR version < 1;

-- name: event_malformed
-- error: The event's type is unknown, or the event lacks what its type refers to. {reset}
SELECT e.room_id AS room, e.version FROM {chunk} e WHERE NOT chat.is_event_whole(e::chat_event);

-- name: event_wrong_message
-- error: The event's message does not exist, is of another room or sender, or is not deleted though
-- the event says so. {reset}
SELECT e.room_id AS room, e.version, e.message_id AS message FROM {chunk} e
WHERE e.message_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM chat_message m
    WHERE m.id = e.message_id AND m.room_id = e.room_id AND m.user_id = e.user_id
      AND (e.type <> 'message_deleted' OR m.deleted_at IS NOT NULL));

-- name: log_messages
-- error: The log does not add each message once, in the order of the seqs. {reset}
SELECT room_id AS room, version, seq, previous AS after FROM (
    SELECT e.room_id, e.version, m.seq, coalesce(
        lag(m.seq) OVER (PARTITION BY e.room_id ORDER BY e.version),
        chat.last_added_seq(e.room_id, e.version)) AS previous
    FROM {chunk} e, LATERAL (
        SELECT seq FROM chat_message WHERE id = e.message_id AND room_id = e.room_id LIMIT 1) AS m
    WHERE e.type = 'message_added') AS event
WHERE seq <> previous + 1;

-- name: log_deletions
-- error: A message was deleted without an event: clients still show its text. {reset}
SELECT e.room_id AS room, e.version, e.message_id AS message FROM {chunk} e
WHERE e.type = 'message_added'
  -- Only where the room's log ends in this chunk: the event may be in a later one.
  AND (e.room_id, %(greatest)s) <= (%(last_room_id)s, %(last_version)s)
  AND e.message_id NOT IN (
      SELECT d.message_id FROM {chunk} d
      WHERE d.type = 'message_deleted' AND d.message_id IS NOT NULL)
  AND (SELECT m.deleted_at IS NOT NULL FROM chat_message m WHERE m.id = e.message_id);

-- name: log_members
-- error: The room's members are not those that its log adds and removes: clients show others.
-- {reset}
SELECT room_id AS room, user_id AS user, version FROM (
    SELECT e.room_id, e.version, e.type, e.user_id,
           (SELECT m.joined_version FROM chat_member m
            WHERE m.room_id = e.room_id AND m.user_id = e.user_id) AS joined_version,
           max(e.version) FILTER (WHERE e.type = 'user_left')
               OVER (PARTITION BY e.room_id, e.user_id) AS left_version
    FROM {chunk} e WHERE e.type IN ('user_joined', 'user_left')) AS event
WHERE CASE type
    -- A user who came back did so at a later version.
    WHEN 'user_left' THEN joined_version < version
    ELSE joined_version IS NULL AND coalesce(left_version, 0) < version
         AND (room_id, %(greatest)s) <= (%(last_room_id)s, %(last_version)s)
         -- A deleted room loses its members at once, and its log in steps.
         AND (SELECT r.deleted_at IS NULL FROM chat_room r WHERE r.id = room_id) IS NOT false END;

-- name: room_missing
-- error: Rows refer to a room that does not exist. {restore}
SELECT 'chat_event' AS table, e.room_id AS room, e.version FROM {chunk} e
WHERE e.room_id NOT IN (
    SELECT r.id FROM chat_room r WHERE r.id BETWEEN %(after_room_id)s AND %(last_room_id)s);
