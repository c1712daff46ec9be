-- Bans: from a room, or from all rooms. A ban whose time is over counts no more (`is_banned`).

-- A ban as every list and answer shows it.
CREATE OR REPLACE FUNCTION chat.ban_body(p_ban chat_ban) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'user', p_ban.user_id, 'until', chat.time_text(p_ban.until), 'reason', p_ban.reason,
        'created_by', p_ban.created_by, 'created_at', chat.time_text(p_ban.created_at))
$$;

-- Writes a ban from a room, or from all rooms where p_room_id is null, and keeps an audit entry; the same ban
-- again changes nothing. The caller holds the lock under which bans of this kind are written.
CREATE OR REPLACE FUNCTION chat.write_ban(
    p_room_id bigint, p_user_id text, p_until timestamptz, p_reason text, p_deletes boolean,
    p_by json
) RETURNS chat_ban LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    v_ban chat_ban;
BEGIN
    SELECT * INTO v_ban FROM chat_ban b
    WHERE b.user_id = p_user_id
      AND (b.room_id = p_room_id OR p_room_id IS NULL AND b.room_id IS NULL);
    IF v_ban.until <= v_now THEN
        DELETE FROM chat_ban b WHERE b.id = v_ban.id;
        v_ban := NULL;
    END IF;
    IF v_ban.id IS NULL THEN
        INSERT INTO chat_ban (room_id, user_id, until, reason, created_by, created_at)
        VALUES (p_room_id, p_user_id, p_until, p_reason, left(p_by ->> 'id', 128), v_now)
        RETURNING * INTO v_ban;
    ELSIF v_ban.until IS DISTINCT FROM p_until OR v_ban.reason <> p_reason THEN
        UPDATE chat_ban b SET until = p_until, reason = p_reason WHERE b.id = v_ban.id
        RETURNING * INTO v_ban;
    ELSE
        RETURN v_ban;
    END IF;
    PERFORM chat.write_audit(p_by, 'user_banned', p_room_id, p_user_id, json_build_object(
        'until', chat.time_text(p_until), 'reason', p_reason, 'delete_messages', p_deletes));
    RETURN v_ban;
END $$;

-- Bans a user from a room and ends the membership, as one change; repeating it changes nothing, and another
-- time or reason is stored in the place of the one before.
--
-- p_until: null for ever. p_deletes: whether the caller goes on to delete messages (`delete_recent_messages`);
-- kept for the audit. p_by: the caller. p_allowed: the roles that may ban, as `kind:role`. It holds the room's
-- lock, as every entry does that looks at the bans, so nobody who is banned enters. One row:
--
-- banned          the user may not enter until then, and is no member     ban
-- room_not_found  no such room, or the caller is no member
-- right_required  the caller's role may not ban
-- outranked       the caller's role may not act on this member
-- self            the caller is the user
-- direct          the members of a direct room never change: users block each other
-- past            p_until is not in the future
-- invalid_user    an id that cannot be a user's
CREATE OR REPLACE FUNCTION chat.ban_from_room(
    p_room_id bigint, p_user_id text, p_until timestamptz, p_reason text, p_deletes boolean,
    p_by json, p_allowed text[]
) RETURNS TABLE (outcome text, ban json, is_member boolean) LANGUAGE plpgsql AS $$
DECLARE
    v_actor text := chat.actor_of(p_by);
    v_room chat_room;
BEGIN
    PERFORM chat.require_read_committed();
    SELECT * INTO v_room FROM chat_room r WHERE r.id = p_room_id FOR NO KEY UPDATE;
    outcome := coalesce(chat.find_refusal(v_room, v_actor, p_allowed), CASE
        WHEN v_room.kind = 'direct' THEN 'direct'
        WHEN NOT chat.is_user_id(p_user_id) THEN 'invalid_user'
        WHEN v_actor = p_user_id THEN 'self'
        WHEN NOT chat.outranks(p_room_id, v_actor, p_user_id) THEN 'outranked'
        WHEN p_until <= clock_timestamp() THEN 'past'
        ELSE 'banned' END);
    IF outcome = 'banned' THEN
        ban := chat.ban_body(chat.write_ban(
            p_room_id, p_user_id, p_until, coalesce(p_reason, ''), p_deletes, p_by));
        is_member := chat.is_member(p_room_id, p_user_id);
        IF is_member THEN
            PERFORM chat.end_membership(v_room, p_user_id, p_by);
        END IF;
    END IF;
    RETURN NEXT;
END $$;

-- Bans a user from all rooms. From the commit on the user enters no room and sends nothing: memberships
-- are marked here and ended one by one afterwards (`remove_banned_member`), except those of direct
-- rooms, which keep their members; there the mark stays. For the host's service and staff. One row: `banned`,
-- with the ban; `past`, `invalid_user`, or `right_required` for a user.
CREATE OR REPLACE FUNCTION chat.ban_from_all_rooms(
    p_user_id text, p_until timestamptz, p_reason text, p_deletes boolean, p_by json
) RETURNS TABLE (outcome text, ban json) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM chat.require_read_committed();
    outcome := CASE
        WHEN chat.actor_of(p_by) IS NOT NULL THEN 'right_required'
        WHEN NOT chat.is_user_id(p_user_id) THEN 'invalid_user'
        WHEN p_until <= clock_timestamp() THEN 'past'
        ELSE 'banned' END;
    IF outcome = 'banned' THEN
        -- First the user's own lock, then the one of `refuse_banned_entrants`, as entries take them.
        PERFORM chat.lock_user(p_user_id);
        PERFORM pg_advisory_xact_lock(7331006, hashtext(p_user_id) & 63);
        ban := chat.ban_body(chat.write_ban(
            NULL, p_user_id, p_until, coalesce(p_reason, ''), p_deletes, p_by));
        UPDATE chat_member m SET is_barred = true WHERE m.user_id = p_user_id AND NOT m.is_barred;
    END IF;
    RETURN NEXT;
END $$;

-- Ends one membership of a user who is banned from all rooms. One row: `removed`, or `kept` where the user is
-- not banned any more or no member, or where the room is direct.
CREATE OR REPLACE FUNCTION chat.remove_banned_member(p_room_id bigint, p_user_id text, p_by json)
RETURNS TABLE (outcome text) LANGUAGE plpgsql AS $$
DECLARE
    v_room chat_room;
BEGIN
    PERFORM chat.require_read_committed();
    SELECT * INTO v_room FROM chat_room r WHERE r.id = p_room_id FOR NO KEY UPDATE;
    outcome := CASE WHEN v_room.kind <> 'direct' AND chat.is_banned(NULL, p_user_id)
                         AND chat.is_member(p_room_id, p_user_id) THEN 'removed' ELSE 'kept' END;
    IF outcome = 'removed' THEN
        PERFORM chat.end_membership(v_room, p_user_id, p_by);
    END IF;
    RETURN NEXT;
END $$;

-- Lifts a ban from a room, or from all rooms where p_room_id is null; repeating it changes nothing. The user
-- becomes a member of nothing by it. One row: `lifted`, `not_banned`, `room_not_found` or `right_required`.
CREATE OR REPLACE FUNCTION chat.lift_ban(
    p_room_id bigint, p_user_id text, p_by json, p_allowed text[]
) RETURNS TABLE (outcome text) LANGUAGE plpgsql AS $$
DECLARE
    v_actor text := chat.actor_of(p_by);
    v_room chat_room;
    v_until timestamptz;
BEGIN
    PERFORM chat.require_read_committed();
    IF p_room_id IS NULL THEN
        outcome := CASE WHEN v_actor IS NOT NULL THEN 'right_required' END;
        PERFORM chat.lock_user(p_user_id);
    ELSE
        SELECT * INTO v_room FROM chat_room r WHERE r.id = p_room_id FOR NO KEY UPDATE;
        outcome := chat.find_refusal(v_room, v_actor, p_allowed);
    END IF;
    IF outcome IS NULL THEN
        DELETE FROM chat_ban b
        WHERE b.user_id = p_user_id
          AND (b.room_id = p_room_id OR p_room_id IS NULL AND b.room_id IS NULL)
        RETURNING b.until INTO v_until;
        outcome := CASE WHEN FOUND AND coalesce(v_until > clock_timestamp(), true)
                        THEN 'lifted' ELSE 'not_banned' END;
        IF p_room_id IS NULL THEN
            UPDATE chat_member m SET is_barred = false WHERE m.user_id = p_user_id AND m.is_barred;
        END IF;
        IF outcome = 'lifted' THEN
            PERFORM chat.write_audit(p_by, 'user_unbanned', p_room_id, p_user_id);
        END IF;
    END IF;
    RETURN NEXT;
END $$;

-- Deletes the latest messages of a user, back to a time: at most 50 a call, in one room, or in all where
-- p_room_id is null. The messages themselves are sought the newest first, at most 1,000 a call; the walk ends
-- at the first one that is older than p_since. One row: how many were deleted, and `next_before`, from which the
-- following call goes on; null when there are no more.
CREATE OR REPLACE FUNCTION chat.delete_recent_messages(
    p_user_id text, p_room_id bigint, p_since timestamptz, p_before bigint
) RETURNS TABLE (deleted int, next_before bigint) LANGUAGE plpgsql AS $$
DECLARE
    v_message record;
    v_ids bigint[] := '{}';
    v_rooms bigint[] := '{}';
    v_seen int := 0;
BEGIN
    PERFORM chat.require_read_committed();
    FOR v_message IN
        SELECT m.id, m.room_id, m.created_at, m.deleted_at FROM chat_message m
        WHERE m.user_id = p_user_id AND m.id < coalesce(p_before, 9223372036854775807)
        ORDER BY m.id DESC LIMIT 1000
    LOOP
        IF v_message.created_at < p_since THEN
            next_before := NULL;
            EXIT;
        END IF;
        v_seen := v_seen + 1;
        next_before := v_message.id;
        IF v_message.deleted_at IS NULL
            AND (p_room_id IS NULL OR v_message.room_id = p_room_id)
        THEN
            v_ids := v_ids || v_message.id;
            v_rooms := v_rooms || v_message.room_id;
        END IF;
        EXIT WHEN cardinality(v_ids) = 50;
    END LOOP;
    IF v_seen < 1000 AND cardinality(v_ids) < 50 THEN
        next_before := NULL;
    END IF;
    -- All rooms first, in id order, as sends lock them, so two calls never wait for each other in a circle.
    PERFORM FROM chat_room r WHERE r.id = ANY (v_rooms) ORDER BY r.id FOR NO KEY UPDATE;
    SELECT count(*) FILTER (WHERE d.outcome = 'deleted') INTO deleted
    FROM unnest(v_ids) AS item (id) CROSS JOIN LATERAL chat.delete_message(item.id) AS d;
    RETURN NEXT;
END $$;
