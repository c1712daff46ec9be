-- name: seq_gap
-- error: The seqs of the room's messages are not 1, 2, 3…: messages are lost. {restore}
SELECT room_id AS room, seq, previous AS after FROM (
    SELECT m.room_id, m.seq, coalesce(
        lag(m.seq) OVER (PARTITION BY m.room_id ORDER BY m.seq),
        -- The first row of the chunk looks at the one before it.
        (SELECT max(b.seq) FROM chat_message b WHERE b.room_id = m.room_id AND b.seq < m.seq),
        0) AS previous
    FROM {chunk} m) AS message
WHERE seq <> previous + 1
  -- Those of a room that is being deleted go in steps, the oldest first.
  AND (SELECT r.deleted_at IS NULL FROM chat_room r WHERE r.id = room_id) IS NOT false;

-- name: id_order
-- error: The ids of the room's messages do not rise with their seqs. {restore}
SELECT room_id AS room, seq, id AS message FROM (
    SELECT m.room_id, m.seq, m.id, coalesce(
        lag(m.id) OVER (PARTITION BY m.room_id ORDER BY m.seq),
        (SELECT b.id FROM chat_message b WHERE b.room_id = m.room_id AND b.seq < m.seq
         ORDER BY b.seq DESC LIMIT 1),
        0) AS previous
    FROM {chunk} m) AS message
WHERE id <= previous;

-- name: deleted_text
-- error: A message has a text though it is deleted, or has no text though it is not. {restore}
SELECT m.room_id AS room, m.id AS message FROM {chunk} m
WHERE (m.content = '') <> (m.deleted_at IS NOT NULL);

-- name: room_missing
-- error: Rows refer to a room that does not exist. {restore}
SELECT 'chat_message' AS table, m.room_id AS room, m.id AS message FROM {chunk} m
WHERE m.room_id NOT IN (
    SELECT r.id FROM chat_room r WHERE r.id BETWEEN %(after_room_id)s AND %(last_room_id)s);
