-- Members of a room: who they are, adding, removing, roles and mutes.

-- Whether a user is a member of a room now.
CREATE OR REPLACE FUNCTION chat.is_member(p_room_id bigint, p_user_id text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM chat_member m WHERE m.room_id = p_room_id AND m.user_id = p_user_id)
$$;

-- A member as every list and answer shows it. `muted_until` is only there while it is in the future.
CREATE OR REPLACE FUNCTION chat.member_body(p_member chat_member) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT JSON_OBJECT(
        'user': p_member.user_id, 'joined_at': chat.time_text(p_member.joined_at),
        'role': p_member.role,
        'muted_until': CASE WHEN p_member.muted_until > clock_timestamp()
                            THEN chat.time_text(p_member.muted_until) END
        ABSENT ON NULL RETURNING json)
$$;

-- The room as answers of joins, removals and the like show it.
CREATE OR REPLACE FUNCTION chat.present_room(p_room chat_room) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT chat.event_room(
        p_room.id, p_room.name, p_room.version, p_room.bumped_at, p_room.member_count)
$$;

-- Users without repetitions, in the order given.
CREATE OR REPLACE FUNCTION chat.distinct_users(p_user_ids text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY(
        SELECT item.id FROM unnest(p_user_ids) WITH ORDINALITY AS item (id, n)
        GROUP BY item.id ORDER BY min(item.n))
$$;

-- Those of these users who are no members of a room now, in the order given.
CREATE OR REPLACE FUNCTION chat.strangers_of(p_room_id bigint, p_user_ids text[]) RETURNS text[]
LANGUAGE sql STABLE AS $$
    SELECT ARRAY(
        SELECT item.id FROM unnest(p_user_ids) WITH ORDINALITY AS item (id, n)
        WHERE NOT EXISTS (
            SELECT FROM chat_member m WHERE m.room_id = p_room_id AND m.user_id = item.id)
        ORDER BY item.n)
$$;

-- Makes users members of a room with a role, and returns the room with its new version. It asks for no
-- rights, bans or limits, and leaves no audit entry: every way into a room calls it, after its own rules.
--
-- The caller holds the room's lock and has checked the ids; none of them is a member, each is there once,
-- and there may be none. Everyone whom the call adds receives each of its events. Where events × members
-- exceed 20,000, all events are logged and only the last one is queued: its `first_version` is that of
-- the first, so it stands for them all, and no client has to fetch them.
CREATE OR REPLACE FUNCTION chat.insert_members(
    p_room chat_room, p_user_ids text[], p_role text DEFAULT 'member'
) RETURNS chat_room LANGUAGE plpgsql AS $$
DECLARE
    v_room chat_room := p_room;
    v_now timestamptz := clock_timestamp();
    v_event chat_event;
    v_events chat_event[] := '{}';
    v_last int := cardinality(p_user_ids);
    v_audiences record;
BEGIN
    IF v_last = 0 THEN
        RETURN v_room;
    END IF;
    INSERT INTO chat_member (
        room_id, user_id, channel, joined_version, joined_at, joined_seq, role)
    SELECT v_room.id, item.id, chat.personal_channel(item.id), v_room.version + 1, v_now,
           v_room.last_seq, p_role
    FROM unnest(p_user_ids) WITH ORDINALITY AS item (id, n) ORDER BY item.n;
    v_room.member_count := v_room.member_count + v_last;
    v_event.room_id := v_room.id;
    v_event.type := 'user_joined';
    v_event.joined_at := v_now;
    IF p_role <> 'member' THEN
        v_event.details := json_build_object('role', p_role);
    END IF;
    FOREACH v_event.user_id IN ARRAY p_user_ids LOOP
        v_events := v_events || v_event;
    END LOOP;
    v_audiences := chat.audiences(ARRAY[v_room]);
    IF v_last > 1 AND v_last::bigint * v_room.member_count > 20000 THEN
        v_event.first_version := v_room.version + 1;
        v_room := (chat.record_events(
            ARRAY[v_room], v_events[:v_last - 1], '{}', '{}', '{}'))[1];
        v_events := ARRAY[v_event];
    END IF;
    RETURN (chat.record_events(
        ARRAY[v_room], v_events, '{}', v_audiences.chunk_rooms, v_audiences.chunks))[1];
END $$;

-- Adds users to a room as members; code of the release before calls it. One call is one change, and
-- repeating it changes nothing.
--
-- p_user_ids: at most 10,000 (the API takes 1,000), which may be none. One row for each distinct
-- user, in the order given: `added` or `already`. Where an id cannot be a user's, nothing is changed and
-- the rows name those ids as `invalid_user`. A room that is unknown, or that nobody can be added to
-- (direct or archived: that release knows neither) is one row `room_not_found`.
CREATE OR REPLACE FUNCTION chat.add_members(p_room_id bigint, p_user_ids text[])
RETURNS TABLE (user_id text, outcome text, room json) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_room chat_room;
    v_wanted text[];
    v_added text[];
BEGIN
    PERFORM chat.require_read_committed();
    PERFORM chat.require_list('add_members: p_user_ids', p_user_ids);
    v_wanted := chat.distinct_users(p_user_ids);
    RETURN QUERY
        SELECT item.id, 'invalid_user', NULL::json
        FROM unnest(v_wanted) AS item (id) WHERE NOT chat.is_user_id(item.id);
    IF FOUND THEN
        RETURN;
    END IF;

    SELECT * INTO v_room FROM chat_room r WHERE r.id = p_room_id FOR NO KEY UPDATE;
    IF v_room.id IS NULL OR v_room.kind = 'direct' OR v_room.archived_at IS NOT NULL THEN
        outcome := 'room_not_found';
        RETURN NEXT;
        RETURN;
    END IF;
    v_added := chat.strangers_of(p_room_id, v_wanted);
    v_room := chat.insert_members(v_room, v_added);
    RETURN QUERY
        SELECT item.id, CASE WHEN added.id IS NOT NULL THEN 'added' ELSE 'already' END,
               chat.present_room(v_room)
        FROM unnest(v_wanted) WITH ORDINALITY AS item (id, n)
        LEFT JOIN unnest(v_added) AS added (id) ON added.id = item.id
        ORDER BY item.n;
END $$;

-- Adds users to a room with a role. One call is one change: all of them, or none; repeating it changes
-- nothing, and who is a member already keeps the own role.
--
-- p_user_ids: at most 10,000, which may be none. p_role: what they become. p_by: the caller. p_allowed: the
-- roles that may add with this role, as `kind:role`. p_members_most: how many members a user may make the
-- room have; null for no limit; the service and staff have none.
--
-- One row for each distinct user, in the order given, or one row without a user that refuses all:
--
-- added           the user became a member                         already  the user was one
-- invalid_user    the ids that cannot be a user's; nothing was changed
-- banned          the users who may not be in the room, whoever adds them: the ban has to be lifted
--                 first; nothing was changed
-- room_not_found  no such room, or the caller is no member
-- right_required  the caller's role may not add users with this role
-- outranked       p_role is above the caller's own
-- direct          the members of a direct room never change
-- archived        the room can only be read
-- limit_reached   the room would have too many members
CREATE OR REPLACE FUNCTION chat.add_members_v2(
    p_room_id bigint, p_user_ids text[], p_role text, p_by json, p_allowed text[],
    p_members_most int
) RETURNS TABLE (user_id text, outcome text, room json) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_actor text := chat.actor_of(p_by);
    v_room chat_room;
    v_wanted text[];
    v_added text[];
BEGIN
    PERFORM chat.require_read_committed();
    PERFORM chat.require_list('add_members_v2: p_user_ids', p_user_ids);
    IF chat.rank_of(p_role) = 0 THEN
        PERFORM chat.refuse_argument('add_members_v2: p_role is not a role');
    END IF;
    v_wanted := chat.distinct_users(p_user_ids);
    RETURN QUERY
        SELECT item.id, 'invalid_user', NULL::json
        FROM unnest(v_wanted) AS item (id) WHERE NOT chat.is_user_id(item.id);
    IF FOUND THEN
        RETURN;
    END IF;

    SELECT * INTO v_room FROM chat_room r WHERE r.id = p_room_id FOR NO KEY UPDATE;
    outcome := chat.find_refusal(v_room, v_actor, p_allowed);
    IF outcome IS NULL THEN
        v_added := chat.strangers_of(p_room_id, v_wanted);
        outcome := CASE
            WHEN v_room.kind = 'direct' THEN 'direct'
            WHEN NOT chat.may_give(p_room_id, v_actor, p_role) THEN 'outranked'
            WHEN v_room.archived_at IS NOT NULL THEN 'archived'
            WHEN v_actor IS NOT NULL AND cardinality(v_added) > 0
                 AND v_room.member_count + cardinality(v_added) > p_members_most
                THEN 'limit_reached' END;
    END IF;
    IF outcome IS NOT NULL THEN
        RETURN NEXT;
        RETURN;
    END IF;
    -- Few users have a ban anywhere, so `is_banned` is asked for few.
    RETURN QUERY
        SELECT item.id, 'banned', NULL::json
        FROM unnest(v_added) WITH ORDINALITY AS item (id, n)
        WHERE EXISTS (SELECT FROM chat_ban b WHERE b.user_id = item.id)
          AND chat.is_banned(p_room_id, item.id)
        ORDER BY item.n;
    IF FOUND THEN
        RETURN;
    END IF;

    v_room := chat.insert_members(v_room, v_added, p_role);
    IF p_role <> 'member' THEN
        PERFORM chat.write_audit(p_by, 'role_changed', p_room_id, item.id,
                                 json_build_object('from', NULL, 'to', p_role))
        FROM unnest(v_added) AS item (id);
    END IF;
    RETURN QUERY
        SELECT item.id, CASE WHEN added.id IS NOT NULL THEN 'added' ELSE 'already' END,
               chat.present_room(v_room)
        FROM unnest(v_wanted) WITH ORDINALITY AS item (id, n)
        LEFT JOIN unnest(v_added) AS added (id) ON added.id = item.id
        ORDER BY item.n;
END $$;

-- Gives a room that has no owner one, and returns the room with its new version: the longest-standing
-- moderator, else the longest-standing member. It changes nothing where there is an owner, or no member.
--
-- It is called by whatever removed an owner, in the same transaction and under the room's lock: a room
-- that never had an owner gets none. p_by: who caused it, for the audit; null for unknown. Of those who
-- were added by one call the first in the call has been there longest.
CREATE OR REPLACE FUNCTION chat.pass_ownership(p_room chat_room, p_by json)
RETURNS chat_room LANGUAGE plpgsql AS $$
DECLARE
    v_heir chat_member;
BEGIN
    IF EXISTS (SELECT FROM chat_member m
               WHERE m.room_id = p_room.id AND m.role <> 'member' AND m.role = 'owner')
    THEN
        RETURN p_room;
    END IF;
    SELECT * INTO v_heir FROM chat_member m
    WHERE m.room_id = p_room.id AND m.role <> 'member'
    ORDER BY m.joined_version, m.id LIMIT 1;
    IF NOT FOUND THEN
        SELECT * INTO v_heir FROM chat_member m
        WHERE m.room_id = p_room.id ORDER BY m.joined_version, m.id LIMIT 1;
    END IF;
    IF v_heir.id IS NULL THEN
        RETURN p_room;
    END IF;
    UPDATE chat_member m SET role = 'owner' WHERE m.id = v_heir.id;
    PERFORM chat.write_audit(
        coalesce(p_by, '{"kind": "service", "id": "unknown"}'), 'role_changed', p_room.id,
        v_heir.user_id,
        json_build_object('from', v_heir.role, 'to', 'owner', 'cause', 'only_owner_left'));
    v_heir.role := 'owner';
    RETURN chat.record_member_update(p_room, v_heir);
END $$;

-- Ends a membership, and returns the room with its new version: the same where the user is no member.
-- Where the only owner goes, the ownership is passed on. It asks for no rights: every way out of a room
-- calls it, after its own rules, under the room's lock. The user who leaves receives `user_left` too.
CREATE OR REPLACE FUNCTION chat.end_membership(p_room chat_room, p_user_id text, p_by json)
RETURNS chat_room LANGUAGE plpgsql AS $$
DECLARE
    v_room chat_room := p_room;
    -- Read before the row is deleted, so that it includes the user who leaves.
    v_channels text[] := chat.audience_of(p_room);
    v_member chat_member;
BEGIN
    DELETE FROM chat_member m WHERE m.room_id = p_room.id AND m.user_id = p_user_id
    RETURNING * INTO v_member;
    IF NOT FOUND THEN
        RETURN v_room;
    END IF;
    v_room.member_count := v_room.member_count - 1;
    v_room := chat.record_event('user_left', v_room, v_channels,
                                p_user_id => p_user_id, p_joined_at => v_member.joined_at);
    IF v_member.role = 'owner' THEN
        v_room := chat.pass_ownership(v_room, p_by);
    END IF;
    RETURN v_room;
END $$;

-- Removes a user from a room; code of the release before calls it. Repeating it changes nothing. One row:
-- `removed`, `not_member` or `room_not_found`, which also stands for a direct room: nobody leaves one.
CREATE OR REPLACE FUNCTION chat.remove_member(p_room_id bigint, p_user_id text)
RETURNS TABLE (outcome text, room json) LANGUAGE plpgsql AS $$
DECLARE
    v_room chat_room;
BEGIN
    PERFORM chat.require_read_committed();
    SELECT * INTO v_room FROM chat_room r WHERE r.id = p_room_id FOR NO KEY UPDATE;
    outcome := CASE WHEN v_room.id IS NULL OR v_room.kind = 'direct' THEN 'room_not_found'
                    WHEN chat.is_member(p_room_id, p_user_id) THEN 'removed'
                    ELSE 'not_member' END;
    IF outcome = 'removed' THEN
        v_room := chat.end_membership(v_room, p_user_id, NULL);
    END IF;
    IF outcome <> 'room_not_found' THEN
        room := chat.present_room(v_room);
    END IF;
    RETURN NEXT;
END $$;

-- Removes a user from a room for somebody else; repeating it changes nothing. p_by: the caller. p_allowed:
-- the roles that may remove members, as `kind:role`. One row:
--
-- removed         the membership ended; the user who leaves receives the event too
-- not_member      the user was none
-- room_not_found  no such room, or the caller is no member
-- right_required  the caller's role may not remove members
-- outranked       the caller's role may not act on this member
-- direct          the members of a direct room never change
CREATE OR REPLACE FUNCTION chat.remove_member_v2(
    p_room_id bigint, p_user_id text, p_by json, p_allowed text[]
) RETURNS TABLE (outcome text, room json) LANGUAGE plpgsql AS $$
DECLARE
    v_actor text := chat.actor_of(p_by);
    v_room chat_room;
BEGIN
    PERFORM chat.require_read_committed();
    SELECT * INTO v_room FROM chat_room r WHERE r.id = p_room_id FOR NO KEY UPDATE;
    outcome := coalesce(chat.find_refusal(v_room, v_actor, p_allowed), CASE
        WHEN v_room.kind = 'direct' THEN 'direct'
        WHEN NOT chat.is_member(p_room_id, p_user_id) THEN 'not_member'
        WHEN NOT chat.outranks(p_room_id, v_actor, p_user_id) THEN 'outranked'
        ELSE 'removed' END);
    IF outcome = 'removed' THEN
        PERFORM chat.write_audit(p_by, 'member_removed', p_room_id, p_user_id);
        v_room := chat.end_membership(v_room, p_user_id, p_by);
    END IF;
    IF outcome IN ('removed', 'not_member') THEN
        room := chat.present_room(v_room);
    END IF;
    RETURN NEXT;
END $$;

-- Changes a member's role, or until when the member may not send, or both, as one change; repeating it
-- changes nothing.
--
-- p_role: the new role; null leaves it. p_sets_mute: whether p_muted_until is the new end of the mute; null
-- lifts it. p_by: the caller. p_change_allowed, p_mute_allowed: the roles that may change roles, and mute,
-- as `kind:role`. One row, with the member as it is then for the first two:
--
-- changed         stored, and the members were sent `member_updated`
-- unchanged       it was so before
-- room_not_found  no such room, or the caller is no member
-- may_not_change  the caller's role may not change roles
-- may_not_mute    the caller's role may not mute
-- not_member      the user is no member
-- outranked       the caller's role may not act on this member, or not give this role
-- direct          the role of all in a direct room is `member`
-- archived        the room can only be read
-- past            p_muted_until is not in the future
-- last_owner      the user is the only owner, and a room that has an owner keeps one
CREATE OR REPLACE FUNCTION chat.update_member(
    p_room_id bigint, p_user_id text, p_role text, p_sets_mute boolean,
    p_muted_until timestamptz, p_by json, p_change_allowed text[], p_mute_allowed text[]
) RETURNS TABLE (outcome text, member json) LANGUAGE plpgsql AS $$
DECLARE
    v_actor text := chat.actor_of(p_by);
    v_now timestamptz;
    v_room chat_room;
    v_before chat_member;
    v_after chat_member;
BEGIN
    PERFORM chat.require_read_committed();
    IF p_sets_mute IS NULL OR p_role IS NOT NULL AND chat.rank_of(p_role) = 0 THEN
        PERFORM chat.refuse_argument(
            'update_member: p_role is not a role, or p_sets_mute is null');
    END IF;
    SELECT * INTO v_room FROM chat_room r WHERE r.id = p_room_id FOR NO KEY UPDATE;
    v_now := clock_timestamp();
    SELECT * INTO v_before FROM chat_member m
    WHERE m.room_id = p_room_id AND m.user_id = p_user_id;
    -- A mute that has ended is none.
    v_before.muted_until := CASE WHEN v_before.muted_until > v_now THEN v_before.muted_until END;
    v_after := v_before;
    v_after.role := coalesce(p_role, v_before.role);
    IF p_sets_mute THEN
        v_after.muted_until := p_muted_until;
    END IF;

    outcome := CASE
        WHEN chat.find_refusal(v_room, v_actor, NULL) = 'room_not_found' THEN 'room_not_found'
        WHEN p_role IS NOT NULL
             AND chat.find_refusal(v_room, v_actor, p_change_allowed) IS NOT NULL
            THEN 'may_not_change'
        WHEN p_sets_mute AND chat.find_refusal(v_room, v_actor, p_mute_allowed) IS NOT NULL
            THEN 'may_not_mute'
        WHEN v_before.id IS NULL THEN 'not_member'
        WHEN NOT chat.outranks(p_room_id, v_actor, p_user_id)
             OR NOT chat.may_give(p_room_id, v_actor, coalesce(p_role, 'member'))
            THEN 'outranked'
        WHEN v_room.kind = 'direct' AND v_after.role <> 'member' THEN 'direct'
        WHEN v_room.archived_at IS NOT NULL THEN 'archived'
        WHEN p_sets_mute AND p_muted_until <= v_now THEN 'past'
        WHEN v_before.role = 'owner' AND v_after.role <> 'owner' AND NOT EXISTS (
            SELECT FROM chat_member m
            WHERE m.room_id = p_room_id AND m.role <> 'member' AND m.role = 'owner'
              AND m.id <> v_before.id) THEN 'last_owner'
        WHEN v_after IS NOT DISTINCT FROM v_before THEN 'unchanged'
        ELSE 'changed' END;
    IF outcome = 'changed' THEN
        UPDATE chat_member m SET role = v_after.role, muted_until = v_after.muted_until
        WHERE m.id = v_after.id;
        IF v_after.role <> v_before.role THEN
            PERFORM chat.write_audit(p_by, 'role_changed', p_room_id, p_user_id,
                json_build_object('from', v_before.role, 'to', v_after.role));
        END IF;
        IF v_after.muted_until IS DISTINCT FROM v_before.muted_until THEN
            PERFORM chat.write_audit(
                p_by,
                CASE WHEN v_after.muted_until IS NULL THEN 'member_unmuted'
                     ELSE 'member_muted' END,
                p_room_id, p_user_id,
                CASE WHEN v_after.muted_until IS NOT NULL
                     THEN json_build_object('until', chat.time_text(v_after.muted_until)) END);
        END IF;
        PERFORM chat.record_member_update(v_room, v_after);
    END IF;
    IF outcome IN ('changed', 'unchanged') THEN
        member := chat.member_body(v_after);
    END IF;
    RETURN NEXT;
END $$;
