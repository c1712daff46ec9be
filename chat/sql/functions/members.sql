-- Joining and leaving.

-- Adds users to a room; one call is one change, and repeating it changes nothing.
--
-- One row for each distinct user, in the order given: `added` or `already`. Where any id cannot be
-- a user, nothing is changed and the rows name those ids as `invalid_user`; an unknown room is one
-- row `room_not_found`. Everyone the call adds is in the audience of each of its events. Where
-- events × members exceeds 20,000, all events are logged and only the last one is queued: its
-- version shows each client the gap, which it fetches.
CREATE OR REPLACE FUNCTION chat.add_members(p_room_id bigint, p_user_ids text[])
RETURNS TABLE (
    user_id text, outcome text, room json
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_room chat_room;
    v_now timestamptz;
    v_wanted text[];
    v_added text[];
    v_before bigint;
    v_channels text[];
BEGIN
    PERFORM chat.require_read_committed();
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
    v_before := v_room.version;
    v_added := ARRAY(
        SELECT item.id FROM unnest(v_wanted) WITH ORDINALITY AS item (id, n)
        WHERE NOT EXISTS (
            SELECT FROM chat_member m WHERE m.room_id = p_room_id AND m.user_id = item.id)
        ORDER BY item.n);

    IF cardinality(v_added) > 0 THEN
        v_room.version := v_before + cardinality(v_added);
        v_room.member_count := v_room.member_count + cardinality(v_added);
        INSERT INTO chat_member (room_id, user_id, channel, joined_version, joined_at)
        SELECT p_room_id, item.id, chat.personal_channel(item.id), v_before + 1, v_now
        FROM unnest(v_added) WITH ORDINALITY AS item (id, n) ORDER BY item.n;
        INSERT INTO chat_event (
            room_id, version, type, user_id, joined_at, member_count, bumped_at, created_at)
        SELECT p_room_id, v_before + item.n, 'user_joined', item.id, v_now,
               v_room.member_count, v_room.bumped_at, v_now
        FROM unnest(v_added) WITH ORDINALITY AS item (id, n) ORDER BY item.n;
        UPDATE chat_room r SET version = v_room.version, member_count = v_room.member_count
        WHERE r.id = p_room_id;

        v_channels := chat.audience(p_room_id);
        FOR v_n IN 1 .. cardinality(v_added) LOOP
            CONTINUE WHEN v_n < cardinality(v_added)
                AND cardinality(v_added)::bigint * v_room.member_count > 20000;
            PERFORM chat.queue_event(
                p_room_id, v_before + v_n, v_channels,
                chat.member_event(
                    'user_joined',
                    chat.event_room(p_room_id, v_room.name, v_before + v_n,
                                       v_room.bumped_at, v_room.member_count),
                    v_added[v_n], v_now));
        END LOOP;
    END IF;

    RETURN QUERY
        SELECT item.id, CASE WHEN item.id = ANY (v_added) THEN 'added' ELSE 'already' END,
               chat.event_room(v_room.id, v_room.name, v_room.version, v_room.bumped_at,
                                  v_room.member_count)
        FROM unnest(v_wanted) WITH ORDINALITY AS item (id, n) ORDER BY item.n;
END $$;

-- Removes a user from a room; repeating it changes nothing. One row: `removed`, `not_member` or
-- `room_not_found`. The one who leaves is in the audience of the event.
CREATE OR REPLACE FUNCTION chat.remove_member(p_room_id bigint, p_user_id text)
RETURNS TABLE (
    outcome text, room json
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_room chat_room;
    v_now timestamptz;
    v_joined_at timestamptz;
    v_channels text[];
BEGIN
    PERFORM chat.require_read_committed();
    SELECT * INTO v_room FROM chat_room r WHERE r.id = p_room_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        outcome := 'room_not_found';
        RETURN NEXT;
        RETURN;
    END IF;

    -- The audience is read before the row goes, so that the leaver is told too.
    v_channels := chat.audience(p_room_id);
    DELETE FROM chat_member m WHERE m.room_id = p_room_id AND m.user_id = p_user_id
    RETURNING m.joined_at INTO v_joined_at;
    outcome := CASE WHEN FOUND THEN 'removed' ELSE 'not_member' END;

    IF outcome = 'removed' THEN
        v_now := clock_timestamp();
        v_room.version := v_room.version + 1;
        v_room.member_count := v_room.member_count - 1;
        INSERT INTO chat_event (
            room_id, version, type, user_id, joined_at, member_count, bumped_at, created_at)
        VALUES (p_room_id, v_room.version, 'user_left', p_user_id, v_joined_at,
                v_room.member_count, v_room.bumped_at, v_now);
        UPDATE chat_room r SET version = v_room.version, member_count = v_room.member_count
        WHERE r.id = p_room_id;
        PERFORM chat.queue_event(
            p_room_id, v_room.version, v_channels,
            chat.member_event(
                'user_left',
                chat.event_room(p_room_id, v_room.name, v_room.version, v_room.bumped_at,
                                   v_room.member_count),
                p_user_id, v_joined_at));
    END IF;
    room := chat.event_room(
        v_room.id, v_room.name, v_room.version, v_room.bumped_at, v_room.member_count);
    RETURN NEXT;
END $$;
