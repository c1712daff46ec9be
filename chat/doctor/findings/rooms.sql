-- name: seq_head
-- error: last_seq is not the seq of the room's last message. {restore}
SELECT r.id AS room, r.last_seq, last.seq AS last_message
FROM {chunk} r, LATERAL (
    SELECT coalesce(max(m.seq), 0) AS seq FROM chat_message m WHERE m.room_id = r.id) AS last
-- The messages of a room that is being deleted go in steps.
WHERE r.last_seq <> last.seq AND r.deleted_at IS NULL;

-- name: bumped_at
-- error: bump_id, the room's place in lists, is not the id of its last message, or bumped_at is not
-- its time. {restore}
SELECT r.id AS room FROM {chunk} r LEFT JOIN LATERAL (
    SELECT m.id, m.seq, m.created_at FROM chat_message m WHERE m.room_id = r.id
    ORDER BY m.seq DESC LIMIT 1) AS last ON true
LEFT JOIN chat_event e ON e.room_id = r.id AND e.version = r.version
WHERE r.last_seq = coalesce(last.seq, 0) AND r.deleted_at IS NULL
  -- After a clock went back, bumped_at is later than the last message, as in the room's last event.
  AND (r.bump_id <> last.id OR r.bumped_at < coalesce(last.created_at, r.created_at)
       OR r.bumped_at > coalesce(last.created_at, r.created_at)
          AND (r.last_seq = 0 OR r.bumped_at <> e.bumped_at));

-- name: member_count
-- error: member_count is not the number of the room's members.
SELECT r.id AS room, r.member_count, counted.members
FROM {chunk} r, LATERAL (
    SELECT count(*) AS members FROM chat_member m WHERE m.room_id = r.id) AS counted
WHERE r.member_count <> counted.members;

-- name: log_head
-- error: The room's version is not that of its last event, or is below its number of messages.
-- {reset}
SELECT r.id AS room, r.version, log.head
FROM {chunk} r, LATERAL (
    SELECT coalesce(max(e.version), r.version) AS head FROM chat_event e
    WHERE e.room_id = r.id) AS log
-- Each message took a version, even if its event was pruned since.
WHERE r.version <> log.head OR r.version < r.last_seq;

-- name: log_messages
-- error: The log does not add each message once, in the order of the seqs. {reset}
SELECT r.id AS room, last.seq, added AS after
FROM {chunk} r, chat.last_added_seq(r.id, %(greatest)s) AS added, LATERAL (
    SELECT coalesce(max(m.seq), 0) AS seq FROM chat_message m WHERE m.room_id = r.id) AS last
WHERE last.seq <> added AND r.deleted_at IS NULL;
