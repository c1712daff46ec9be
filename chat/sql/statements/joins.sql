-- name: join_room
-- Makes a user a member of a public room, within limits; see functions/joins.sql.
SELECT outcome, room::text, retry_after
FROM chat.join_room(
    %(room_id)s, %(user_id)s, %(joins_per_user)s::text, %(rooms_per_user)s::int,
    %(members_per_room)s::int, %(waits)s);

-- name: leave_room
-- Ends a user's own membership; see functions/joins.sql.
SELECT outcome, room::text, retry_after
FROM chat.leave_room(
    %(room_id)s, %(user_id)s, %(joins_per_user)s::text, %(allowed)s::text[], %(waits)s);
