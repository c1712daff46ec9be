-- name: find_room_by_external_id
-- One room by the host's key, if the user is a member; the host's service reads any room. A room of others
-- takes what a room takes that does not exist: the id, and one look for a member.
SELECT chat.compose_room_v2(r, m, o, NULL, %(rights)s::json) AS room
FROM (SELECT coalesce((
    SELECT k.id FROM chat_room k WHERE k.external_id = %(external_id)s), 0) AS id) AS wanted
LEFT JOIN chat_member o ON o.room_id = wanted.id AND o.user_id = %(user_id)s
JOIN chat_room r
    ON r.id = CASE WHEN o.id IS NOT NULL OR %(is_service)s THEN wanted.id END
LEFT JOIN chat_message m ON m.room_id = r.id AND m.seq = r.last_seq
    AND (r.history = 'all' OR m.seq > o.joined_seq OR %(is_service)s);

-- name: approach_room
-- Brings a room closer to what the host wants of it; see functions/desired_state.sql.
SELECT outcome, generation, room, changed::text, user_ids, before, after, remaining
FROM chat.approach_room(
    %(by)s::json, %(external_id)s, %(generation)s::bigint, %(wanted)s::json,
    %(user_ids)s::text[], %(roles)s::text[], %(limit)s);

-- name: preview_wanted_room
-- What would be changed; see functions/desired_state.sql.
SELECT outcome, room, changed::text, user_ids, before, after
FROM chat.preview_wanted_room(
    %(external_id)s, %(wanted)s::json, %(user_ids)s::text[], %(roles)s::text[]);
