-- How many rooms a user may be in, and how many members a room may have.

-- Takes the user's lock, under which it is decided whether the user enters a room: of two calls at once
-- for one user the second one waits for the end of the first, and then sees what that changed. A call takes
-- it after the locks of its rooms, so two calls never wait for each other in a circle. Who bans a user from
-- all rooms takes it too, before the ban is written: then nobody enters who was banned meanwhile.
CREATE OR REPLACE FUNCTION chat.lock_user(p_user_id text) RETURNS void
LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended(p_user_id, 7331005))
$$;

-- Whether a user is in as many rooms as are allowed, so that no further one can be entered. It takes the
-- user's lock (`lock_user`): exact, however many calls for the user run at once.
--
-- p_limit: null or 0 means no limit. Direct rooms are not counted. It reads no more entries of the index
-- than the limit; only a user who has so many memberships with the direct ones takes a look at each room.
CREATE OR REPLACE FUNCTION chat.is_in_all_allowed_rooms(p_user_id text, p_limit int) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(p_limit, 0) = 0 THEN
        RETURN false;
    END IF;
    PERFORM chat.lock_user(p_user_id);
    -- Statements of their own: each sees what was committed while the lock was awaited.
    PERFORM FROM chat_member m WHERE m.user_id = p_user_id OFFSET p_limit - 1 LIMIT 1;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM FROM chat_member m JOIN chat_room r ON r.id = m.room_id
    WHERE m.user_id = p_user_id AND r.kind <> 'direct' OFFSET p_limit - 1 LIMIT 1;
    RETURN FOUND;
END $$;

-- Whether a room has no place for so many more members. The caller holds the room's lock. p_limit: null or
-- 0 means no limit, as for the host's service.
CREATE OR REPLACE FUNCTION chat.is_room_full_for(p_room chat_room, p_added int, p_limit int)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(p_limit, 0) > 0 AND p_room.member_count + p_added > p_limit
$$;
