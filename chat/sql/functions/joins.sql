-- Joining and leaving of users themselves, within limits.

-- Counts a join or leave of a user, or says how many seconds the user has to wait: null if it was counted,
-- or if there is no limit. p_limit: `30/60` means at most 30 joins and leaves together in any 60 seconds, in
-- all rooms; null or empty means no limit. Exact, however many processes call it: a lock of the user's is
-- held until the transaction ends. It is taken after the room's and after `lock_user`.
CREATE OR REPLACE FUNCTION chat.count_join(p_user_id text, p_limit text) RETURNS float8
LANGUAGE plpgsql AS $$
DECLARE
    v_limit int[] := string_to_array(nullif(p_limit, ''), '/')::int[];
    v_times timestamptz[];
    v_now timestamptz;
    v_wait float8;
BEGIN
    IF v_limit IS NULL THEN
        RETURN NULL;
    ELSIF v_limit[1] IS NULL OR v_limit[2] IS NULL THEN
        PERFORM chat.refuse_argument('count_join: p_limit is not like 30/60');
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(p_user_id, 7331003));
    v_now := clock_timestamp();
    SELECT c.times INTO v_times FROM chat_join_count c WHERE c.user_id = p_user_id;
    -- The time of the last change but 29 decides.
    v_wait := extract(epoch FROM
        v_times[cardinality(v_times) + 1 - v_limit[1]] + v_limit[2] * interval '1 second' - v_now);
    IF v_wait > 0 THEN
        RETURN v_wait;
    END IF;
    v_times := v_times || v_now;
    INSERT INTO chat_join_count (user_id, times)
    VALUES (p_user_id, v_times[greatest(1, cardinality(v_times) + 1 - v_limit[1]):])
    ON CONFLICT (user_id) DO UPDATE SET times = excluded.times;
    RETURN NULL;
END $$;

-- A room, and whether a user is its member, at one moment and without a lock; the room is null where there
-- is none. For a room that the user may not know of it does the same work as for one that does not exist.
CREATE OR REPLACE FUNCTION chat.look_at_room(
    p_room_id bigint, p_user_id text, OUT room chat_room, OUT is_member boolean
) LANGUAGE sql STABLE AS $$
    SELECT r, member.room_id IS NOT NULL
    FROM (VALUES (p_room_id)) AS asked (id)
    LEFT JOIN chat_room r ON r.id = asked.id
    LEFT JOIN chat_member member ON member.room_id = asked.id AND member.user_id = p_user_id
$$;

-- Locks a room and returns it as it is then: null where there is none, and, where p_wait is false, also
-- where somebody else has locked it.
CREATE OR REPLACE FUNCTION chat.lock_room(p_room_id bigint, p_wait boolean) RETURNS chat_room
LANGUAGE plpgsql AS $$
DECLARE
    v_room chat_room;
BEGIN
    IF p_wait THEN
        SELECT * INTO v_room FROM chat_room r WHERE r.id = p_room_id FOR NO KEY UPDATE;
    ELSE
        SELECT * INTO v_room FROM chat_room r WHERE r.id = p_room_id
        FOR NO KEY UPDATE SKIP LOCKED;
    END IF;
    RETURN v_room;
END $$;

-- Lets a user who is no member into a room of which the caller holds the lock, or says why not. One row:
--
-- outcome         meaning                                                the other columns
-- joined          the user is a member from now on                       the room
-- banned          the user may not be in this room, or in any            null
-- archived        the room can only be read                              null
-- room_full       it has p_members_per_room members                      null
-- too_many_rooms  the user is in p_rooms_per_user rooms                  null
-- rate_limited    too many joins and leaves; nothing was stored          retry_after, in seconds
--
-- p_joins_per_user: see `count_join`. p_rooms_per_user, p_members_per_room: 0 or null for no limit.
CREATE OR REPLACE FUNCTION chat.enter_room(
    p_room chat_room, p_user_id text, p_joins_per_user text, p_rooms_per_user int,
    p_members_per_room int
) RETURNS TABLE (outcome text, room json, retry_after float8) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM chat.lock_user(p_user_id);
    IF chat.is_banned(p_room.id, p_user_id) THEN
        outcome := 'banned';
    ELSIF p_room.archived_at IS NOT NULL THEN
        outcome := 'archived';
    ELSIF chat.is_room_full_for(p_room, 1, p_members_per_room) THEN
        outcome := 'room_full';
    ELSIF chat.is_in_all_allowed_rooms(p_user_id, p_rooms_per_user) THEN
        outcome := 'too_many_rooms';
    ELSE
        retry_after := chat.count_join(p_user_id, p_joins_per_user);
        IF retry_after IS NOT NULL THEN
            outcome := 'rate_limited';
        ELSE
            outcome := 'joined';
            room := chat.present_room(chat.insert_members(p_room, ARRAY[p_user_id]));
        END IF;
    END IF;
    RETURN NEXT;
END $$;

-- Makes a user a member of a public room; repeating it changes nothing, and is never refused. One row, as
-- `enter_room` gives it, or:
--
-- outcome         meaning                                                the other columns
-- already         the user was a member before                           the room
-- room_not_found  no such room, or one that the user may not know of     null
-- busy            the room is locked, and p_wait is false                null
-- invalid_user    an id that cannot be a user's                          null
--
-- p_wait: whether to wait for the room's lock. A stranger's call to a room that is not public, and a
-- member's call, are answered without the lock: how long they take shows nothing of the room.
CREATE OR REPLACE FUNCTION chat.join_room(
    p_room_id bigint, p_user_id text, p_joins_per_user text, p_rooms_per_user int,
    p_members_per_room int, p_wait boolean DEFAULT true
) RETURNS TABLE (outcome text, room json, retry_after float8)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    v_seen record;
    v_room chat_room;
BEGIN
    PERFORM chat.require_read_committed();
    SELECT seen.room, seen.is_member INTO v_seen FROM chat.look_at_room(p_room_id, p_user_id) AS seen;
    v_room := v_seen.room;
    outcome := CASE WHEN NOT chat.is_user_id(p_user_id) THEN 'invalid_user'
                    WHEN v_room.id IS NULL THEN 'room_not_found'
                    WHEN v_seen.is_member THEN 'already'
                    WHEN v_room.kind <> 'public' THEN 'room_not_found' END;
    IF outcome IS NULL THEN
        v_room := chat.lock_room(p_room_id, p_wait);
        -- What was seen before the lock can have changed while it was awaited.
        outcome := CASE WHEN v_room.id IS NULL AND NOT p_wait THEN 'busy'
                        WHEN v_room.id IS NULL THEN 'room_not_found'
                        WHEN chat.is_member(p_room_id, p_user_id) THEN 'already'
                        WHEN v_room.kind <> 'public' THEN 'room_not_found' END;
    END IF;
    IF outcome IS NULL THEN
        RETURN QUERY SELECT e.outcome, e.room, e.retry_after FROM chat.enter_room(
            v_room, p_user_id, p_joins_per_user, p_rooms_per_user, p_members_per_room) AS e;
        RETURN;
    END IF;
    room := CASE WHEN outcome = 'already' THEN chat.present_room(v_room) END;
    RETURN NEXT;
END $$;

-- Ends a user's own membership; repeating it changes nothing. One row:
--
-- outcome         meaning                                                the other columns
-- left            the user is no member from now on                      the room
-- not_member      the user was none, and the room is public              the room
-- room_not_found  no such room, or one that the user may not know of     null
-- right_required  the role has no right to leave, as in direct rooms     null
-- busy            the room is locked, and p_wait is false                null
-- rate_limited    too many joins and leaves; nothing was stored          retry_after, in seconds
--
-- p_allowed: where the right to leave is given; see `find_refusal`. p_wait: as for `join_room`.
CREATE OR REPLACE FUNCTION chat.leave_room(
    p_room_id bigint, p_user_id text, p_joins_per_user text, p_allowed text[],
    p_wait boolean DEFAULT true
) RETURNS TABLE (outcome text, room json, retry_after float8)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    v_seen record;
    v_room chat_room;
BEGIN
    PERFORM chat.require_read_committed();
    SELECT seen.room, seen.is_member INTO v_seen FROM chat.look_at_room(p_room_id, p_user_id) AS seen;
    v_room := v_seen.room;
    IF v_seen.is_member THEN
        v_room := chat.lock_room(p_room_id, p_wait);
    END IF;
    -- For a public room a stranger is answered as one who has left it.
    outcome := CASE WHEN v_seen.is_member AND v_room.id IS NULL AND NOT p_wait THEN 'busy'
                    WHEN v_room.id IS NULL THEN 'room_not_found'
                    WHEN chat.is_member(p_room_id, p_user_id)
                        THEN chat.find_refusal(v_room, p_user_id, p_allowed)
                    WHEN v_room.kind = 'public' THEN 'not_member'
                    ELSE 'room_not_found' END;
    IF outcome = 'not_member' THEN
        room := chat.present_room(v_room);
    ELSIF outcome IS NULL THEN
        retry_after := chat.count_join(p_user_id, p_joins_per_user);
        IF retry_after IS NOT NULL THEN
            outcome := 'rate_limited';
        ELSE
            outcome := 'left';
            room := chat.present_room(chat.end_membership(
                v_room, p_user_id, json_build_object('kind', 'user', 'id', p_user_id)));
        END IF;
    END IF;
    RETURN NEXT;
END $$;

-- Joining and leaving in the release before, which knows no other outcome than these: what it does not know
-- is a room that does not exist.
CREATE OR REPLACE FUNCTION chat.change_own_membership(
    p_room_id bigint, p_user_id text, p_is_joining boolean, p_changes_per_user text
) RETURNS TABLE (outcome text, room json, retry_after float8)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    IF p_is_joining IS NULL OR coalesce(p_changes_per_user, '') !~ '^\d+/\d+$' THEN
        PERFORM chat.refuse_argument(
            'change_own_membership: p_is_joining is null, or p_changes_per_user is not like 30/60');
    ELSIF p_is_joining THEN
        RETURN QUERY SELECT j.outcome, j.room, j.retry_after
        FROM chat.join_room(p_room_id, p_user_id, p_changes_per_user, 0, 0) AS j;
    ELSE
        RETURN QUERY SELECT l.outcome, l.room, l.retry_after
        FROM chat.leave_room(p_room_id, p_user_id, p_changes_per_user, ARRAY[
            'public:member', 'public:moderator', 'public:owner',
            'private:member', 'private:moderator', 'private:owner']) AS l;
    END IF;
END $$;
