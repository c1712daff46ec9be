-- The event log and the outbox. `record_event` is the only way in: every change of a room passes
-- through it. `event_body` is the only composer: it serves publishing and reading the log.

-- The room as it was after an event. Every event carries it.
CREATE OR REPLACE FUNCTION chat.event_room(
    p_id bigint, p_name text, p_version bigint, p_bumped_at timestamptz, p_member_count int
) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', p_id, 'name', p_name, 'version', p_version,
        'bumped_at', chat.time_text(p_bumped_at), 'member_count', p_member_count)
$$;

-- A message as every list, answer and event shows it, as it is now: a deleted text is gone from the
-- log too. A key that the service made itself is not shown. `room` is only in events.
CREATE OR REPLACE FUNCTION chat.message_body(p_message chat_message, p_room json DEFAULT NULL)
RETURNS json LANGUAGE sql STABLE AS $$
    SELECT JSON_OBJECT(
        'id': p_message.id, 'room_id': p_message.room_id, 'seq': p_message.seq,
        'user': p_message.user_id, 'content': p_message.content,
        'created_at': chat.time_text(p_message.created_at),
        'deleted_at': chat.time_text(p_message.deleted_at),
        'client_id': CASE WHEN p_message.client_id NOT LIKE '~%' THEN p_message.client_id END,
        'room': p_room
        ABSENT ON NULL RETURNING json)
$$;

-- The room of a logged event. p_name: its present name.
CREATE OR REPLACE FUNCTION chat.room_of_event(p_event chat_event, p_name text) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT chat.event_room(
        p_event.room_id, p_name, p_event.version, p_event.bumped_at, p_event.member_count)
$$;

-- Raises `case_not_found`: `event_body` has no arm for this type.
CREATE OR REPLACE FUNCTION chat.refuse_event_type(p_type text) RETURNS json
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RAISE EXCEPTION 'no event has the type %', p_type USING ERRCODE = 'case_not_found';
END $$;

-- An event as clients receive it: `{type, body}`. Each kind of event is one arm. Raises
-- `case_not_found` for a type without an arm.
--
-- p_room_name: the room's present name. p_message: the event's message, for kinds that have one.
-- In SQL, not PL/pgSQL, because PostgreSQL then makes one expression of it and all it calls.
CREATE OR REPLACE FUNCTION chat.event_body(
    p_event chat_event, p_room_name text, p_message chat_message
) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('type', p_event.type, 'body', CASE
        WHEN p_event.type IN ('message_added', 'message_deleted') THEN
            chat.message_body(p_message, chat.room_of_event(p_event, p_room_name))
        WHEN p_event.type IN ('user_joined', 'user_left') THEN
            json_build_object(
                'user', p_event.user_id, 'joined_at', chat.time_text(p_event.joined_at),
                'room', chat.room_of_event(p_event, p_room_name))
        WHEN p_event.type = 'room_updated' THEN
            json_build_object('room', chat.room_of_event(p_event, p_room_name))
        ELSE chat.refuse_event_type(p_event.type) END)
$$;

-- Whether a logged event is of a known type and refers to everything that its body needs.
CREATE OR REPLACE FUNCTION chat.is_event_whole(p_event chat_event) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN p_event.type IN ('message_added', 'message_deleted')
            THEN p_event.message_id IS NOT NULL AND p_event.user_id IS NOT NULL
        WHEN p_event.type IN ('user_joined', 'user_left')
            THEN p_event.message_id IS NULL AND p_event.user_id IS NOT NULL
                 AND p_event.joined_at IS NOT NULL
        WHEN p_event.type = 'room_updated' THEN p_event.message_id IS NULL
        ELSE false END
$$;

-- Records one change of a room: takes the room's next version, writes the event to the log and
-- queues it for the channels given. Returns the room with the new version; the caller writes it
-- with `save_room`, once for all events of one call.
--
-- Centrifugo reads the outbox itself: centrifugo/config.json, `consumers`.
--
-- The caller holds the room's lock, so ids of the room's events and outbox rows rise in version
-- order. p_room: the room as it is after the change. p_channels: who receives the event; without
-- any the event is only logged.
--
-- An outbox row holds at most 1,000 channels. Its idempotency key begins with the installation's
-- epoch: without it a restored database would use keys again, and Centrifugo would drop the events.
CREATE OR REPLACE FUNCTION chat.record_event(
    p_type text, p_room chat_room, p_channels text[],
    p_user_id text DEFAULT NULL, p_joined_at timestamptz DEFAULT NULL,
    p_message chat_message DEFAULT NULL
) RETURNS chat_room LANGUAGE plpgsql AS $$
DECLARE
    v_event chat_event;
    v_body json;
    v_key text;
    v_partition int;
BEGIN
    p_room.version := p_room.version + 1;
    INSERT INTO chat_event (
        room_id, version, type, message_id, user_id, joined_at, member_count, bumped_at, created_at)
    VALUES (
        p_room.id, p_room.version, p_type, p_message.id, p_user_id, p_joined_at,
        p_room.member_count, p_room.bumped_at, clock_timestamp())
    RETURNING * INTO v_event;
    IF coalesce(cardinality(p_channels), 0) = 0 THEN
        RETURN p_room;
    END IF;

    v_body := chat.event_body(v_event, p_room.name, p_message);
    SELECT i.epoch || ':' || p_room.id || ':' || p_room.version || ':',
           p_room.id % i.outbox_partitions
    INTO STRICT v_key, v_partition FROM chat_installation i;
    FOR v_chunk IN 0 .. (cardinality(p_channels) - 1) / 1000 LOOP
        INSERT INTO chat_outbox (method, payload, partition, created_at)
        VALUES (
            'broadcast',
            json_build_object(
                'channels', p_channels[v_chunk * 1000 + 1 : v_chunk * 1000 + 1000],
                'data', v_body,
                'idempotency_key', v_key || v_chunk),
            v_partition,
            clock_timestamp());
    END LOOP;
    PERFORM pg_notify('chat_outbox', v_partition::text);
    RETURN p_room;
END $$;

-- Writes a room back after the events of one call. The caller holds its lock.
CREATE OR REPLACE FUNCTION chat.save_room(p_room chat_room) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE chat_room r
    SET name = p_room.name, version = p_room.version, last_seq = p_room.last_seq,
        member_count = p_room.member_count, bumped_at = p_room.bumped_at
    WHERE r.id = p_room.id;
END $$;

-- The channels of all present members, in the order of joining.
CREATE OR REPLACE FUNCTION chat.audience(p_room_id bigint) RETURNS text[]
LANGUAGE sql STABLE AS $$
    SELECT array_agg(m.channel ORDER BY m.id) FROM chat_member m WHERE m.room_id = p_room_id
$$;

-- Refuses to run where a snapshot could be older than the room's lock: order and idempotency need
-- each statement of a function to see what was committed before it.
CREATE OR REPLACE FUNCTION chat.require_read_committed() RETURNS void
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'chat functions run in READ COMMITTED only, not in %',
            current_setting('transaction_isolation')
            USING ERRCODE = 'invalid_transaction_state';
    END IF;
END $$;

-- Deletes the oldest events of the log, at most p_limit, all created before p_before; returns how
-- many. It deletes a prefix in id order. Within a room ids rise with versions, so what is kept of
-- each room has no gap, even where the clock once jumped backwards.
CREATE OR REPLACE FUNCTION chat.prune_events(p_before timestamptz, p_limit int) RETURNS bigint
LANGUAGE sql AS $$
    WITH pruned AS (
        -- As an array: as a join, the plan for any limit can be a scan of the whole log.
        DELETE FROM chat_event e
        WHERE e.id = ANY (ARRAY(
            SELECT o.id FROM chat_event o
            WHERE o.id < coalesce((
                SELECT k.id FROM chat_event k WHERE k.created_at >= p_before ORDER BY k.id LIMIT 1
            ), 9223372036854775807)
            ORDER BY o.id LIMIT p_limit))
        RETURNING 1
    )
    SELECT count(*) FROM pruned
$$;
