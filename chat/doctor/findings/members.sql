-- name: member_channel
-- error: The member's events go to a channel that is not its user's.
SELECT m.room_id AS room, m.user_id AS user FROM {chunk} m
WHERE m.channel <> chat.personal_channel(m.user_id);

-- name: member_version
-- error: The member joined at a version that the room never had. {restore}
SELECT m.room_id AS room, m.user_id AS user, m.joined_version FROM {chunk} m
WHERE m.joined_version NOT BETWEEN 1 AND (SELECT version FROM chat_room WHERE id = m.room_id);

-- name: log_members
-- error: The room's members are not those that its log adds and removes: clients show others.
-- {reset}
SELECT m.room_id AS room, m.user_id AS user, m.joined_version FROM {chunk} m
-- The first event of the call that added the member; null if it was pruned.
WHERE (SELECT e.type <> 'user_joined' OR e.joined_at <> m.joined_at FROM chat_event e
       WHERE e.room_id = m.room_id AND e.version = m.joined_version);

-- name: room_missing
-- error: Rows refer to a room that does not exist. {restore}
SELECT 'chat_member' AS table, m.room_id AS room, m.user_id AS user FROM {chunk} m
WHERE m.room_id NOT IN (
    SELECT r.id FROM chat_room r WHERE r.id BETWEEN %(after_room_id)s AND %(last_room_id)s);
