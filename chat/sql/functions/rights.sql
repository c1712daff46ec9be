-- Who may change what in a room. The roles that have a right come from app/permissions.py with each call;
-- here, under the room's lock, it is seen which role the caller has at that moment.

-- The rank of a role: 1 for a member, 2 for a moderator, 3 for an owner; 0 for none.
CREATE OR REPLACE FUNCTION chat.rank_of(p_role text) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE p_role WHEN 'owner' THEN 3 WHEN 'moderator' THEN 2 WHEN 'member' THEN 1 ELSE 0 END
$$;

-- Whether the caller lacks a right in a room: null if not, or the outcome to answer with.
--
-- p_actor: who calls; null for the host's service and staff, who may do everything. p_allowed: where the
-- right is given, as `kind:role`. The caller of this function holds the room's lock, so a change of the
-- role is committed before or comes after.
--
-- room_not_found  the room does not exist, or the caller is no member: which of the two is not told
-- right_required  the caller's role does not have the right
CREATE OR REPLACE FUNCTION chat.find_refusal(
    p_room chat_room, p_actor text, p_allowed text[]
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_role text;
BEGIN
    IF p_room.id IS NULL THEN
        RETURN 'room_not_found';
    ELSIF p_actor IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT m.role INTO v_role FROM chat_member m
    WHERE m.room_id = p_room.id AND m.user_id = p_actor;
    RETURN CASE WHEN v_role IS NULL THEN 'room_not_found'
                WHEN p_room.kind || ':' || v_role = ANY (p_allowed) THEN NULL
                ELSE 'right_required' END;
END $$;

-- Whether the caller may act on a member by the roles of both: on lower roles, and owners on owners.
-- p_actor: null for the host's service and staff. A user who is no member can be acted on by anyone.
CREATE OR REPLACE FUNCTION chat.outranks(p_room_id bigint, p_actor text, p_user_id text)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT p_actor IS NULL OR coalesce((
        SELECT actor.role = 'owner' OR chat.rank_of(actor.role) > chat.rank_of((
            SELECT m.role FROM chat_member m
            WHERE m.room_id = p_room_id AND m.user_id = p_user_id))
        FROM chat_member actor WHERE actor.room_id = p_room_id AND actor.user_id = p_actor), false)
$$;

-- Whether the caller may give a role in a room: nobody gives one above the own. p_actor: null for the host's
-- service and staff.
CREATE OR REPLACE FUNCTION chat.may_give(p_room_id bigint, p_actor text, p_role text)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT p_actor IS NULL OR chat.rank_of(p_role) <= chat.rank_of((
        SELECT m.role FROM chat_member m WHERE m.room_id = p_room_id AND m.user_id = p_actor))
$$;

-- Whether a user is banned from a room, or from all rooms, now.
CREATE OR REPLACE FUNCTION chat.is_banned(p_room_id bigint, p_user_id text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM chat_ban b
        WHERE b.user_id = p_user_id AND (b.room_id = p_room_id OR b.room_id IS NULL)
          AND coalesce(b.until > clock_timestamp(), true))
$$;

-- Counts one use of what a setting limits, or says how many seconds the user has to wait: null if it was
-- counted, or if there is no limit. Exact, however many processes count: a use holds the user's lock until
-- its transaction ends, and is not counted if that is rolled back.
--
-- p_kind: what is counted, as chat_use_count has it. p_limit: `20/86400` means at most 20 in any 86,400
-- seconds; null or empty means no limit. The caller holds its locks of rooms.
CREATE OR REPLACE FUNCTION chat.count_use(p_user_id text, p_kind text, p_limit text) RETURNS float8
LANGUAGE plpgsql AS $$
DECLARE
    v_limit int[] := string_to_array(nullif(p_limit, ''), '/')::int[];
    v_times timestamptz[];
    v_now timestamptz;
    v_wait float8;
BEGIN
    IF v_limit IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(p_kind || ' ' || p_user_id, 7331004));
    v_now := clock_timestamp();
    SELECT c.times INTO v_times FROM chat_use_count c
    WHERE c.user_id = p_user_id AND c.kind = p_kind;
    -- The time of the last use but 19 decides.
    v_wait := extract(epoch FROM
        v_times[cardinality(v_times) + 1 - v_limit[1]] + v_limit[2] * interval '1 second' - v_now);
    IF v_wait > 0 THEN
        RETURN v_wait;
    END IF;
    v_times := v_times || v_now;
    INSERT INTO chat_use_count (user_id, kind, times)
    VALUES (p_user_id, p_kind, v_times[greatest(1, cardinality(v_times) + 1 - v_limit[1]):])
    ON CONFLICT (user_id, kind) DO UPDATE SET times = excluded.times;
    RETURN NULL;
END $$;
