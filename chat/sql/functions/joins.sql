-- Joining and leaving of users themselves, within a limit.

-- Makes a user a member, or ends the membership, unless the user did so too often; repeating it
-- changes nothing, and is never refused. One row:
--
-- outcome         meaning                                                the other columns
-- joined, left    it was changed                                         the room
-- already         the user was a member before                           the room
-- not_member      the user who leaves was none                           the room
-- room_not_found  no such room                                           null
-- invalid_user    an id that cannot be a user's                          null
-- rate_limited    the user has reached the limit; nothing was stored     retry_after, in seconds
--
-- p_changes_per_user: `30/60` means at most 30 joins and leaves together in any 60 seconds, in all
-- rooms. Exact, however many processes call it: the call holds a lock of the user's until it ends.
-- It is taken after the room's, so two calls never wait for each other in a circle.
CREATE OR REPLACE FUNCTION chat.change_own_membership(
    p_room_id bigint, p_user_id text, p_is_joining boolean, p_changes_per_user text
) RETURNS TABLE (outcome text, room json, retry_after float8)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_limit int[] := string_to_array(p_changes_per_user, '/')::int[];
    v_room chat_room;
    v_times timestamptz[];
    v_now timestamptz;
BEGIN
    PERFORM chat.require_read_committed();
    IF p_is_joining IS NULL OR v_limit[1] IS NULL OR v_limit[2] IS NULL THEN
        PERFORM chat.refuse_argument(
            'change_own_membership: p_is_joining is null, or p_changes_per_user is not like 30/60');
    ELSIF NOT chat.is_user_id(p_user_id) THEN
        outcome := 'invalid_user';
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT * INTO v_room FROM chat_room r WHERE r.id = p_room_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        outcome := 'room_not_found';
        RETURN NEXT;
        RETURN;
    ELSIF chat.is_member(p_room_id, p_user_id) = p_is_joining THEN
        outcome := CASE WHEN p_is_joining THEN 'already' ELSE 'not_member' END;
        room := chat.event_room(
            v_room.id, v_room.name, v_room.version, v_room.bumped_at, v_room.member_count);
        RETURN NEXT;
        RETURN;
    END IF;

    PERFORM pg_advisory_xact_lock(hashtextextended(p_user_id, 7331003));
    v_now := clock_timestamp();
    SELECT c.times INTO v_times FROM chat_join_count c WHERE c.user_id = p_user_id;
    -- The time of the last change but 29 decides.
    retry_after := nullif(greatest(0, extract(epoch FROM
        v_times[cardinality(v_times) + 1 - v_limit[1]] + v_limit[2] * interval '1 second' - v_now
    )), 0);
    IF retry_after IS NOT NULL THEN
        outcome := 'rate_limited';
        RETURN NEXT;
        RETURN;
    END IF;
    v_times := v_times || v_now;
    INSERT INTO chat_join_count (user_id, times)
    VALUES (p_user_id, v_times[greatest(1, cardinality(v_times) + 1 - v_limit[1]):])
    ON CONFLICT (user_id) DO UPDATE SET times = excluded.times;
    IF p_is_joining THEN
        SELECT 'joined', a.room INTO outcome, room
        FROM chat.add_members(p_room_id, ARRAY[p_user_id]) AS a;
    ELSE
        SELECT 'left', d.room INTO outcome, room
        FROM chat.remove_member(p_room_id, p_user_id) AS d;
    END IF;
    RETURN NEXT;
END $$;
