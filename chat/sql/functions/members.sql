-- Joining and leaving.

-- Whether a user is a member of a room now.
CREATE OR REPLACE FUNCTION chat.is_member(p_room_id bigint, p_user_id text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM chat_member m WHERE m.room_id = p_room_id AND m.user_id = p_user_id)
$$;

-- Adds users to a room. One call is one change, and repeating it changes nothing.
--
-- p_user_ids: at most 10,000 (the API takes 1,000), which may be none. One row for each distinct
-- user, in the order given: `added` or `already`. Where an id cannot be a
-- user's, nothing is changed and the rows name those ids as `invalid_user`. An unknown room is one
-- row `room_not_found`. Everyone whom the call adds receives each of its events. Where events ×
-- members exceed 20,000, all events are logged and only the last one is queued: its `first_version`
-- is that of the first, so it stands for them all, and no client has to fetch them.
CREATE OR REPLACE FUNCTION chat.add_members(p_room_id bigint, p_user_ids text[])
RETURNS TABLE (user_id text, outcome text, room json) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_room chat_room;
    v_now timestamptz;
    v_wanted text[];
    v_added text[];
    v_event chat_event;
    v_events chat_event[] := '{}';
    v_last int;
    v_audiences record;
BEGIN
    PERFORM chat.require_read_committed();
    PERFORM chat.require_list('add_members: p_user_ids', p_user_ids);
    v_wanted := ARRAY(
        SELECT item.id FROM unnest(p_user_ids) WITH ORDINALITY AS item (id, n)
        GROUP BY item.id ORDER BY min(item.n));
    RETURN QUERY
        SELECT item.id, 'invalid_user', NULL::json
        FROM unnest(v_wanted) AS item (id) WHERE NOT chat.is_user_id(item.id);
    IF FOUND THEN
        RETURN;
    END IF;

    SELECT * INTO v_room FROM chat_room r WHERE r.id = p_room_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        outcome := 'room_not_found';
        RETURN NEXT;
        RETURN;
    END IF;

    v_now := clock_timestamp();
    v_added := ARRAY(
        SELECT item.id FROM unnest(v_wanted) WITH ORDINALITY AS item (id, n)
        WHERE NOT EXISTS (
            SELECT FROM chat_member m WHERE m.room_id = p_room_id AND m.user_id = item.id)
        ORDER BY item.n);

    IF cardinality(v_added) > 0 THEN
        INSERT INTO chat_member (room_id, user_id, channel, joined_version, joined_at)
        SELECT p_room_id, item.id, chat.personal_channel(item.id), v_room.version + 1, v_now
        FROM unnest(v_added) WITH ORDINALITY AS item (id, n) ORDER BY item.n;
        v_room.member_count := v_room.member_count + cardinality(v_added);
        v_event.room_id := p_room_id;
        v_event.type := 'user_joined';
        v_event.joined_at := v_now;
        FOREACH v_event.user_id IN ARRAY v_added LOOP
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
        v_room := (chat.record_events(
            ARRAY[v_room], v_events, '{}', v_audiences.chunk_rooms, v_audiences.chunks))[1];
    END IF;

    room := chat.event_room(
        v_room.id, v_room.name, v_room.version, v_room.bumped_at, v_room.member_count);
    RETURN QUERY
        SELECT item.id, CASE WHEN added.id IS NOT NULL THEN 'added' ELSE 'already' END, room
        FROM unnest(v_wanted) WITH ORDINALITY AS item (id, n)
        LEFT JOIN unnest(v_added) AS added (id) ON added.id = item.id
        ORDER BY item.n;
END $$;

-- Removes a user from a room; repeating it changes nothing. One row: `removed`, `not_member` or
-- `room_not_found`. The user who leaves receives the event too.
CREATE OR REPLACE FUNCTION chat.remove_member(p_room_id bigint, p_user_id text)
RETURNS TABLE (outcome text, room json) LANGUAGE plpgsql AS $$
DECLARE
    v_room chat_room;
    v_channels text[];
    v_joined_at timestamptz;
BEGIN
    PERFORM chat.require_read_committed();
    SELECT * INTO v_room FROM chat_room r WHERE r.id = p_room_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        outcome := 'room_not_found';
        RETURN NEXT;
        RETURN;
    END IF;

    -- The audience is read before the row is deleted, so that it includes the user who leaves.
    v_channels := chat.audience_of(v_room);
    DELETE FROM chat_member m WHERE m.room_id = p_room_id AND m.user_id = p_user_id
    RETURNING m.joined_at INTO v_joined_at;
    outcome := CASE WHEN FOUND THEN 'removed' ELSE 'not_member' END;

    IF outcome = 'removed' THEN
        v_room.member_count := v_room.member_count - 1;
        v_room := chat.record_event('user_left', v_room, v_channels,
                                    p_user_id => p_user_id, p_joined_at => v_joined_at);
    END IF;
    room := chat.event_room(
        v_room.id, v_room.name, v_room.version, v_room.bumped_at, v_room.member_count);
    RETURN NEXT;
END $$;
