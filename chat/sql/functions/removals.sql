-- Removing many members as one change.

-- These members of a room, in the order of p_user_ids; who is no member is left out.
--
-- Without nested loops: a plan that a session made for a small room could read all members for each user.
CREATE OR REPLACE FUNCTION chat.members_in_order(p_room_id bigint, p_user_ids text[])
RETURNS chat_member[] LANGUAGE plpgsql STABLE SET enable_nestloop = off AS $$
BEGIN
    RETURN ARRAY(
        SELECT m FROM chat_member m
        JOIN unnest(p_user_ids) WITH ORDINALITY AS item (id, n) ON item.id = m.user_id
        WHERE m.room_id = p_room_id AND m.user_id = ANY (p_user_ids)
        ORDER BY item.n);
END $$;

-- Records that these users left a room at once, and returns the room with its new version: all events are
-- logged, each with the `first_version` of the first. The last one is queued for everyone who stays; each
-- of those who go is sent the own one, if that user can be listening.
--
-- p_room: the room without them. p_gone: at least two. p_channels: the audience from before.
CREATE OR REPLACE FUNCTION chat.record_bulk_removal(
    p_room chat_room, p_gone chat_member[], p_channels text[]
) RETURNS chat_room LANGUAGE plpgsql AS $$
DECLARE
    v_room chat_room;
    v_first bigint := p_room.version + 1;
    v_member chat_member;
    v_event chat_event;
    v_events chat_event[] := '{}';
    v_chunks json[];
BEGIN
    v_event.room_id := p_room.id;
    v_event.type := 'user_left';
    v_event.first_version := v_first;
    FOREACH v_member IN ARRAY p_gone LOOP
        v_event.user_id := v_member.user_id;
        v_event.joined_at := v_member.joined_at;
        v_events := v_events || v_event;
    END LOOP;
    v_room := (chat.record_events(
        ARRAY[p_room], v_events[:cardinality(v_events) - 1], '{}', '{}', '{}'))[1];

    -- Rows of the outbox as `record_events` writes them, with one channel for each event.
    INSERT INTO chat_outbox (method, payload, partition, created_at)
    SELECT 'broadcast', json_build_object(
               'channels', json_build_array(gone.channel),
               'data', chat.event_body(e, v_room.name, NULL),
               'idempotency_key', i.epoch || ':' || v_room.id || ':' || e.version || ':0'),
           chat.partition_of(v_room.id, v_room.member_count, i.outbox_partitions), e.created_at
    FROM unnest(p_gone) WITH ORDINALITY AS gone
    JOIN chat_event e ON e.room_id = v_room.id AND e.version = v_first + gone.ordinality - 1
    CROSS JOIN chat_installation i
    WHERE e.version BETWEEN v_first AND v_room.version
      AND gone.channel IN (SELECT c.channel FROM unnest(p_channels) AS c (channel))
    ORDER BY e.version;

    v_chunks := chat.chunks(ARRAY(
        SELECT c.channel FROM unnest(p_channels) AS c (channel)
        WHERE c.channel = v_member.channel
           OR c.channel NOT IN (SELECT gone.channel FROM unnest(p_gone) AS gone)));
    RETURN (chat.record_events(
        ARRAY[v_room], ARRAY[v_event], '{}',
        array_fill(v_room.id, ARRAY[cardinality(v_chunks)]), v_chunks))[1];
END $$;

-- Removes users from a room as one change, and returns the room with its new version: the same where none
-- of them is a member. Where the only owner is among them, the ownership is passed on.
--
-- It asks for no rights and leaves no audit entry of the removals: whoever calls it has done both, and
-- holds the room's lock. p_user_ids: each once; the events are in this order. p_by: the caller, for the
-- audit of the heir.
--
-- Who goes is sent the own `user_left` and no later event, as if they were removed one by one. Where
-- events × members exceed 20,000, it is recorded as a bulk join is (`insert_members`), with one difference:
-- from the event of another user a client would not know that the room is gone, so each of those who go is
-- still sent the own one.
CREATE OR REPLACE FUNCTION chat.remove_members(p_room chat_room, p_user_ids text[], p_by json)
RETURNS chat_room LANGUAGE plpgsql AS $$
DECLARE
    v_room chat_room := p_room;
    -- Read before the rows are deleted, so that it includes those who leave.
    v_channels text[] := chat.audience_of(p_room);
    v_gone chat_member[] := chat.members_in_order(p_room.id, p_user_ids);
    v_member chat_member;
BEGIN
    DELETE FROM chat_member m WHERE m.room_id = p_room.id AND m.user_id = ANY (p_user_ids);
    IF cardinality(v_gone) = 0 THEN
        RETURN v_room;
    ELSIF cardinality(v_gone) = 1
        OR cardinality(v_gone)::bigint * v_room.member_count <= 20000
    THEN
        FOREACH v_member IN ARRAY v_gone LOOP
            v_room.member_count := v_room.member_count - 1;
            v_room := chat.record_event(
                'user_left', v_room, v_channels,
                p_user_id => v_member.user_id, p_joined_at => v_member.joined_at);
            v_channels := array_remove(v_channels, v_member.channel::text);
        END LOOP;
    ELSE
        v_room.member_count := v_room.member_count - cardinality(v_gone);
        v_room := chat.record_bulk_removal(v_room, v_gone, v_channels);
    END IF;
    IF EXISTS (SELECT FROM unnest(v_gone) AS m WHERE m.role = 'owner') THEN
        v_room := chat.pass_ownership(v_room, p_by);
    END IF;
    RETURN v_room;
END $$;
