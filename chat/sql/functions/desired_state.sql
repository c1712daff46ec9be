-- Rooms as the host wants them: one call after another brings a room closer, until it is so.

-- What differs between a room and what is wanted of it, as a JSON object: for each name its value now as
-- `from` and the wanted one as `to`. p_wanted: `name`, `kind`, `data` and `history`; what is null or left
-- out stays as it is. Two JSON objects are equal if their values are, in any order of their names.
CREATE OR REPLACE FUNCTION chat.compare_room(p_room chat_room, p_wanted json) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT coalesce(json_object_agg(
        item.name, json_build_object('from', item.before, 'to', item.after) ORDER BY item.n), '{}')
    FROM (VALUES
        (1, 'name', to_json(p_room.name), p_wanted -> 'name'),
        (2, 'kind', to_json(p_room.kind), p_wanted -> 'kind'),
        (3, 'data', coalesce(p_room.data, '{}'), p_wanted -> 'data'),
        (4, 'history', to_json(p_room.history), p_wanted -> 'history')
    ) AS item (n, name, before, after)
    WHERE json_typeof(item.after) <> 'null'
      AND CASE WHEN concat(item.before, ' ', item.after) ~ '(?<!\\)(\\\\)*\\u0000'
               -- What jsonb cannot hold is compared as it is written.
               THEN item.before::text <> item.after::text
               ELSE item.before::jsonb <> item.after::jsonb END
$$;

-- What has to be changed so that a room has exactly these members with these roles, in the order in which
-- it is done: who is added, as they are given; whose role rises; whose role falls; who is removed, owners
-- last. So a room that has an owner keeps one all the time.
--
-- p_user_ids, p_roles: parallel, each user once; without a role a member keeps the own one, and a new one
-- becomes `member`. Where p_user_ids is null nothing is changed. role_before: null for who is added. role:
-- null for who is removed.
CREATE OR REPLACE FUNCTION chat.compare_members(
    p_room_id bigint, p_user_ids text[], p_roles text[]
) RETURNS TABLE (user_id text, role_before text, role text, place bigint) LANGUAGE sql STABLE AS $$
    SELECT changed.user_id, changed.role_before, changed.role, row_number() OVER (
        ORDER BY changed.role_before IS NOT NULL, changed.role IS NULL,
                 chat.rank_of(changed.role) < chat.rank_of(changed.role_before),
                 chat.rank_of(changed.role_before), changed.n, changed.user_id COLLATE "C")
    FROM (
        SELECT coalesce(wanted.user_id, m.user_id)::text AS user_id, m.role::text AS role_before,
               CASE WHEN wanted.user_id IS NOT NULL
                    THEN coalesce(wanted.role, m.role, 'member') END::text AS role, wanted.n
        FROM (SELECT o.user_id, o.role FROM chat_member o
              WHERE o.room_id = p_room_id AND p_user_ids IS NOT NULL) AS m
        FULL JOIN (SELECT item.user_id COLLATE "C" AS user_id, item.role, item.n
                   FROM unnest(p_user_ids, p_roles) WITH ORDINALITY
                       AS item (user_id, role, n)) AS wanted
            ON wanted.user_id = m.user_id
    ) AS changed
    WHERE changed.role IS DISTINCT FROM changed.role_before
$$;

-- The roles that are wanted, with one who becomes the owner where the room has an owner now and nobody
-- wanted would be one: of those without a role, the longest-standing moderator, else member, else the
-- first of those who are new. Null where each has a role, and none is an owner: the room would lose its
-- owner, and only the caller can say to whom.
CREATE OR REPLACE FUNCTION chat.complete_roles(p_room_id bigint, p_user_ids text[], p_roles text[])
RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    v_roles text[] := p_roles;
    v_free text[];
    v_heir text;
BEGIN
    IF coalesce(cardinality(p_user_ids), 0) = 0 OR 'owner' = ANY (p_roles) OR NOT EXISTS (
        SELECT FROM chat_member m
        WHERE m.room_id = p_room_id AND m.role <> 'member' AND m.role = 'owner')
    THEN
        RETURN v_roles;
    END IF;
    v_free := ARRAY(
        SELECT item.user_id FROM unnest(p_user_ids, p_roles) WITH ORDINALITY
            AS item (user_id, role, n)
        WHERE item.role IS NULL ORDER BY item.n);
    -- Looked up by the array: as a join, a plan that was made for a small room would read all members for
    -- each of them.
    SELECT m.user_id INTO v_heir FROM chat_member m
    WHERE m.room_id = p_room_id AND m.user_id = ANY (v_free)
    ORDER BY chat.rank_of(m.role) DESC, m.joined_version, m.id LIMIT 1;
    v_heir := coalesce(v_heir, v_free[1]);
    IF v_heir IS NULL THEN
        RETURN NULL;
    END IF;
    v_roles[array_position(p_user_ids, v_heir)] := 'owner';
    RETURN v_roles;
END $$;

-- Gives members other roles as one change, and returns the room with its new version. It asks for no
-- rights: who calls it has done so, and holds the room's lock. p_user_ids, p_before, p_after: parallel; each
-- is a member, with the role that it has and the one that it gets. Where events × members exceed 20,000, all are logged and only the last
-- one is queued, as in `insert_members`.
CREATE OR REPLACE FUNCTION chat.change_roles(
    p_room chat_room, p_user_ids text[], p_before text[], p_after text[], p_by json
) RETURNS chat_room LANGUAGE plpgsql AS $$
DECLARE
    v_room chat_room := p_room;
    v_role text;
    v_member chat_member;
    v_event chat_event;
    v_events chat_event[] := '{}';
    v_last int;
    v_audiences record;
BEGIN
    PERFORM chat.write_audit(p_by, 'role_changed', v_room.id, item.user_id,
                             json_build_object('from', item.before, 'to', item.after))
    FROM unnest(p_user_ids, p_before, p_after) WITH ORDINALITY AS item (user_id, before, after, n)
    ORDER BY item.n;
    FOREACH v_role IN ARRAY ARRAY['member', 'moderator', 'owner'] LOOP
        UPDATE chat_member m SET role = v_role
        WHERE m.room_id = v_room.id AND m.user_id = ANY (ARRAY(
            SELECT item.user_id FROM unnest(p_user_ids, p_after) AS item (user_id, role)
            WHERE item.role = v_role));
    END LOOP;

    v_event.room_id := v_room.id;
    v_event.type := 'member_updated';
    FOREACH v_member IN ARRAY chat.members_in_order(v_room.id, p_user_ids) LOOP
        v_event.user_id := v_member.user_id;
        v_event.details := json_build_object(
            'role', v_member.role, 'muted_until', chat.time_text(v_member.muted_until));
        v_events := v_events || v_event;
    END LOOP;
    v_last := cardinality(v_events);
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

-- Changes who is in a room, and returns it with its new version. p_user_ids, p_before, p_after: parallel,
-- in the order of `compare_members`. The caller holds the room's lock and has checked the users.
CREATE OR REPLACE FUNCTION chat.change_members(
    p_room chat_room, p_user_ids text[], p_before text[], p_after text[], p_by json
) RETURNS chat_room LANGUAGE plpgsql AS $$
DECLARE
    v_room chat_room := p_room;
    v_role text;
    v_users text[];
    v_before text[];
    v_after text[];
BEGIN
    -- Each role is a change of its own; owners come first.
    FOR v_role, v_users IN
        SELECT item.after, array_agg(item.user_id ORDER BY item.n)
        FROM unnest(p_user_ids, p_before, p_after) WITH ORDINALITY AS item (user_id, before, after, n)
        WHERE item.before IS NULL
        GROUP BY item.after ORDER BY chat.rank_of(item.after) DESC
    LOOP
        v_room := chat.insert_members(v_room, v_users, v_role);
        IF v_role <> 'member' THEN
            PERFORM chat.write_audit(p_by, 'role_changed', v_room.id, item.id,
                                     json_build_object('from', NULL, 'to', v_role))
            FROM unnest(v_users) AS item (id);
        END IF;
    END LOOP;

    SELECT array_agg(item.user_id ORDER BY item.n), array_agg(item.before ORDER BY item.n),
           array_agg(item.after ORDER BY item.n)
    INTO v_users, v_before, v_after
    FROM unnest(p_user_ids, p_before, p_after) WITH ORDINALITY AS item (user_id, before, after, n)
    WHERE item.before IS NOT NULL AND item.after IS NOT NULL;
    IF v_users IS NOT NULL THEN
        v_room := chat.change_roles(v_room, v_users, v_before, v_after, p_by);
    END IF;

    SELECT array_agg(item.user_id ORDER BY item.n) INTO v_users
    FROM unnest(p_user_ids, p_after) WITH ORDINALITY AS item (user_id, after, n)
    WHERE item.after IS NULL;
    IF v_users IS NOT NULL THEN
        v_room := chat.remove_members(v_room, v_users, p_by);
    END IF;
    RETURN v_room;
END $$;

-- What in a wanted state can never be: null for nothing, or the outcome to answer with.
CREATE OR REPLACE FUNCTION chat.find_invalid_state(
    p_external_id text, p_wanted json, p_user_ids text[], p_roles text[]
) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN p_external_id IS NULL THEN 'invalid_external_id'
        WHEN fault.outcome IS NOT NULL THEN fault.outcome
        WHEN EXISTS (SELECT FROM unnest(p_user_ids) AS item (id) WHERE NOT chat.is_user_id(item.id))
            OR EXISTS (SELECT FROM unnest(p_roles) AS item (role) WHERE chat.rank_of(item.role) = 0
                       AND item.role IS NOT NULL)
            OR cardinality(p_user_ids)
                <> (SELECT count(DISTINCT item.id) FROM unnest(p_user_ids) AS item (id))
            THEN 'invalid_user' END
    FROM (SELECT chat.find_room_fault(
        p_wanted ->> 'name', coalesce(p_wanted ->> 'kind', p_wanted ->> 'default_kind', 'public'),
        CASE WHEN p_wanted ->> 'data' IS NOT NULL THEN p_wanted -> 'data' END,
        coalesce(p_wanted ->> 'history', 'all'), p_external_id) AS outcome) AS fault
$$;

-- Creates the room of an external id, without members, unless it is there; returns whether it did. Of two
-- calls at once the second waits here until the first is committed.
CREATE OR REPLACE FUNCTION chat.create_wanted_room(p_external_id text, p_wanted json)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
BEGIN
    -- Asked first, because each insert draws an id, also one that is not done.
    IF EXISTS (SELECT FROM chat_room r WHERE r.external_id = p_external_id) THEN
        RETURN false;
    END IF;
    INSERT INTO chat_room (
        name, version, last_seq, member_count, bumped_at, created_at, kind, external_id, data,
        history)
    VALUES (
        p_wanted ->> 'name', 0, 0, 0, v_now, v_now,
        coalesce(p_wanted ->> 'kind', p_wanted ->> 'default_kind', 'public'), p_external_id,
        CASE WHEN p_wanted ->> 'data' <> '{}' THEN p_wanted -> 'data' END,
        coalesce(p_wanted ->> 'history', 'all'))
    ON CONFLICT (external_id) DO NOTHING;
    RETURN FOUND;
END $$;

-- Gives a room what `compare_room` found to be wanted, sends the members an event, and returns the room
-- with its new version. The caller holds the room's lock. p_changed: not empty.
CREATE OR REPLACE FUNCTION chat.change_to_wanted(p_room chat_room, p_changed json, p_by json)
RETURNS chat_room LANGUAGE plpgsql AS $$
DECLARE
    v_room chat_room := chat.apply_change(p_room, (
        SELECT json_object_agg(c.key, c.value -> 'to') FROM json_each(p_changed) AS c (key, value)));
BEGIN
    UPDATE chat_room r SET kind = v_room.kind, history = v_room.history, data = v_room.data
    WHERE r.id = v_room.id;
    v_room := chat.record_change(
        'room_updated', v_room, chat.audience_of(v_room), NULL, chat.room_state(v_room));
    PERFORM chat.audit_change(p_by, p_room, v_room);
    RETURN v_room;
END $$;

-- What differs between a room and what is wanted of it, and why it cannot become so: one row. The arguments
-- are those of `approach_room`. p_room: all null for a room that is not there.
--
-- outcome: null, or one of `approach_room` that changes nothing. changed: as `compare_room` has it.
-- user_ids, before, after: parallel, all that `compare_members` has, in its order; for `banned` user_ids
-- has the first of those who are.
CREATE OR REPLACE FUNCTION chat.compare_state(
    p_room chat_room, p_wanted json, p_user_ids text[], p_roles text[],
    OUT outcome text, OUT changed json, OUT user_ids text[], OUT before text[], OUT after text[]
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_roles text[] := chat.complete_roles(p_room.id, p_user_ids, p_roles);
    v_banned text[];
BEGIN
    changed := CASE WHEN p_room.id IS NULL THEN '{}' ELSE chat.compare_room(p_room, p_wanted) END;
    SELECT coalesce(array_agg(c.user_id ORDER BY c.place), '{}'),
           coalesce(array_agg(c.role_before ORDER BY c.place), '{}'),
           coalesce(array_agg(c.role ORDER BY c.place), '{}')
    INTO user_ids, before, after FROM chat.compare_members(p_room.id, p_user_ids, v_roles) AS c;
    outcome := CASE
        WHEN p_room.kind = 'direct' THEN 'direct'
        WHEN p_roles IS NOT NULL AND v_roles IS NULL THEN 'no_owner'
        WHEN p_room.archived_at IS NOT NULL
             AND (cardinality(user_ids) > 0 OR changed::text <> '{}') THEN 'archived' END;
    IF outcome IS NULL THEN
        -- Few users have a ban anywhere, so `is_banned` is asked for few.
        v_banned := ARRAY(
            SELECT item.id FROM unnest(user_ids, before) WITH ORDINALITY AS item (id, role, n)
            WHERE item.role IS NULL
              AND EXISTS (SELECT FROM chat_ban b WHERE b.user_id = item.id)
              AND chat.is_banned(p_room.id, item.id)
            ORDER BY item.n LIMIT 10);
        IF cardinality(v_banned) > 0 THEN
            outcome := 'banned';
            user_ids := v_banned;
        END IF;
    END IF;
END $$;

-- Brings a room closer to what the host wants of it: it is created if there is none with this external id,
-- its name and the like are changed, and at most p_limit of its members. Called again with the generation
-- that it returned, until nothing remains, it makes the room exactly as wanted; the last call has seen
-- under the room's lock that nothing differs any more. What others changed between two calls is changed
-- back. Each call is one transaction, and none holds the lock for long.
--
-- A call without a generation draws a new one: calls with another one are then superseded and change
-- nothing. So of two callers that want different states the later one has its own, whole.
--
-- p_by: the caller: the host's service, or staff. p_wanted: as in `compare_room`, with `name`; a room that
-- is created is of `default_kind` where `kind` is null. p_user_ids, p_roles: as in `compare_members`; null
-- to leave the members as they are. One row:
--
-- outcome              meaning
-- created              the room was created by this call, and brought closer
-- approached           the room was there, and was brought closer; or nothing differed
-- superseded           a later call draws the room elsewhere
-- room_not_found       the room was there when the generation was drawn, and is no more
-- direct               the room is a direct room: it is never changed
-- archived             something differs, and the room can only be read
-- no_owner             the room has an owner, and would have none; nothing was changed
-- banned               users who are wanted may not be in the room: user_ids has the first of them; nothing
--                      was changed
-- invalid_name, invalid_kind, invalid_data, invalid_history, invalid_external_id, invalid_user
--
-- For the first two: generation; room, as it is now; changed, as `compare_room` says; user_ids, before and
-- after, which are parallel: what this call changed of the members; remaining: how many were left to change.
CREATE OR REPLACE FUNCTION chat.approach_room(
    p_by json, p_external_id text, p_generation bigint, p_wanted json,
    p_user_ids text[], p_roles text[], p_limit int
) RETURNS TABLE (
    outcome text, generation bigint, room text, changed json,
    user_ids text[], before text[], after text[], remaining bigint
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_room chat_room;
    v_is_new boolean := false;
    v_difference record;
BEGIN
    PERFORM chat.require_read_committed();
    PERFORM chat.require_list('approach_room: p_user_ids', coalesce(p_user_ids, '{}'));
    PERFORM chat.require_list('approach_room: p_roles', coalesce(p_roles, '{}'));
    IF chat.actor_of(p_by) IS NOT NULL OR coalesce(p_limit, 0) < 1
        OR cardinality(p_user_ids) IS DISTINCT FROM cardinality(p_roles)
    THEN
        PERFORM chat.refuse_argument('approach_room: p_by is a user, p_limit is not at least 1, or'
            ' p_roles is not as long as p_user_ids');
    END IF;
    IF p_generation IS NULL THEN
        outcome := chat.find_invalid_state(p_external_id, p_wanted, p_user_ids, p_roles);
        IF outcome IS NOT NULL THEN
            RETURN NEXT;
            RETURN;
        END IF;
        v_is_new := chat.create_wanted_room(p_external_id, p_wanted);
    END IF;
    SELECT * INTO v_room FROM chat_room r WHERE r.external_id = p_external_id FOR NO KEY UPDATE;
    IF v_room.id IS NULL OR v_room.desired_generation <> p_generation THEN
        outcome := CASE WHEN v_room.id IS NULL THEN 'room_not_found' ELSE 'superseded' END;
        RETURN NEXT;
        RETURN;
    END IF;

    v_difference := chat.compare_state(v_room, p_wanted, p_user_ids, p_roles);
    outcome := v_difference.outcome;
    IF outcome IS NOT NULL THEN
        user_ids := v_difference.user_ids;
        IF v_is_new THEN
            DELETE FROM chat_room r WHERE r.id = v_room.id;
        END IF;
        RETURN NEXT;
        RETURN;
    END IF;

    outcome := CASE WHEN v_is_new THEN 'created' ELSE 'approached' END;
    IF v_is_new THEN
        PERFORM chat.write_audit(
            p_by, 'room_created', v_room.id, NULL, json_build_object('kind', v_room.kind));
    END IF;
    IF p_generation IS NULL THEN
        -- The id of this transaction: no other call has it, not even for a room that was deleted, and
        -- whose external id another one has now.
        UPDATE chat_room r SET desired_generation = pg_current_xact_id()::text::bigint
        WHERE r.id = v_room.id
        RETURNING * INTO v_room;
    END IF;
    changed := v_difference.changed;
    IF changed::text <> '{}' THEN
        v_room := chat.change_to_wanted(v_room, changed, p_by);
    END IF;
    user_ids := v_difference.user_ids[:p_limit];
    before := v_difference.before[:p_limit];
    after := v_difference.after[:p_limit];
    IF cardinality(user_ids) > 0 THEN
        v_room := chat.change_members(v_room, user_ids, before, after, p_by);
        PERFORM chat.write_audit(p_by, 'members_changed', v_room.id, NULL, (
            SELECT json_build_object(
                'added', count(*) FILTER (WHERE item.before IS NULL),
                'removed', count(*) FILTER (WHERE item.after IS NULL),
                'role_changes', count(*) FILTER (WHERE item.before <> item.after))
            FROM unnest(before, after) AS item (before, after)));
    END IF;
    generation := v_room.desired_generation;
    room := chat.room_seen_by(v_room, NULL);
    remaining := cardinality(v_difference.user_ids) - cardinality(user_ids);
    RETURN NEXT;
END $$;

-- What `approach_room`, called until nothing remains, would change now: it changes nothing and waits for
-- nobody. The arguments and outcomes are the same. user_ids, before, after: all that differs. room: null
-- for one that would be created.
CREATE OR REPLACE FUNCTION chat.preview_wanted_room(
    p_external_id text, p_wanted json, p_user_ids text[], p_roles text[]
) RETURNS TABLE (
    outcome text, room text, changed json, user_ids text[], before text[], after text[]
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_room chat_room;
BEGIN
    PERFORM chat.require_read_committed();
    PERFORM chat.require_list('preview_wanted_room: p_user_ids', coalesce(p_user_ids, '{}'));
    outcome := chat.find_invalid_state(p_external_id, p_wanted, p_user_ids, p_roles);
    IF outcome IS NULL THEN
        SELECT * INTO v_room FROM chat_room r WHERE r.external_id = p_external_id;
        SELECT coalesce(c.outcome, CASE WHEN v_room.id IS NULL THEN 'created' ELSE 'approached' END),
               c.changed, c.user_ids, c.before, c.after
        INTO outcome, changed, user_ids, before, after
        FROM chat.compare_state(v_room, p_wanted, p_user_ids, p_roles) AS c;
        IF v_room.id IS NOT NULL THEN
            room := chat.room_seen_by(v_room, NULL);
        END IF;
    END IF;
    RETURN NEXT;
END $$;
