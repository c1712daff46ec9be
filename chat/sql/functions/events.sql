-- What clients are told, and how it leaves: one composer for each event, used both when it is
-- published and when the log is read. The log composes from what is there now, so a text that was
-- deleted since is gone from it, and an older event shows the room's present name.

-- The room as it was after an event, as each event carries it.
CREATE OR REPLACE FUNCTION chat.event_room(
    p_id bigint, p_name text, p_version bigint, p_bumped_at timestamptz, p_member_count int
) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', p_id, 'name', p_name, 'version', p_version,
        'bumped_at', chat.time_text(p_bumped_at), 'member_count', p_member_count)
$$;

-- A message as every list and event shows it: as it is now, so a deleted text is gone from the log
-- too. A key made by the service is not shown, and a room only in an event.
CREATE OR REPLACE FUNCTION chat.message_body(p_message chat_message, p_room json DEFAULT NULL)
RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_strip_nulls(json_build_object(
        'id', p_message.id, 'room_id', p_message.room_id, 'seq', p_message.seq,
        'user', p_message.user_id, 'content', p_message.content,
        'created_at', chat.time_text(p_message.created_at),
        'deleted_at', chat.time_text(p_message.deleted_at),
        'client_id', CASE WHEN p_message.client_id NOT LIKE '~%' THEN p_message.client_id END,
        'room', p_room))
$$;

-- A `message_added` or `message_deleted` event: the message with its room.
CREATE OR REPLACE FUNCTION chat.message_event(
    p_type text, p_room json, p_message chat_message
) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('type', p_type, 'body', chat.message_body(p_message, p_room))
$$;

-- A `room_updated` event: the room, with its new name.
CREATE OR REPLACE FUNCTION chat.room_event(p_type text, p_room json) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object('type', p_type, 'body', json_build_object('room', p_room))
$$;

-- A `user_joined` or `user_left` event.
CREATE OR REPLACE FUNCTION chat.member_event(
    p_type text, p_room json, p_user_id text, p_joined_at timestamptz
) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('type', p_type, 'body', json_build_object(
        'user', p_user_id, 'joined_at', chat.time_text(p_joined_at), 'room', p_room))
$$;

-- Whether an event of the log has what its type refers to; false if the type is unknown.
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

-- Queues one event for the channels given, at most 1,000 a row, in the caller's transaction. The
-- caller holds the room's lock, so ids of the room's rows rise in version order. The key begins
-- with the installation's epoch: without it a restored database would reuse keys.
CREATE OR REPLACE FUNCTION chat.queue_event(
    p_room_id bigint, p_version bigint, p_channels text[], p_event json
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_epoch text;
    v_partition int;
    v_chunks int := (coalesce(cardinality(p_channels), 0) + 999) / 1000;
BEGIN
    IF v_chunks = 0 THEN
        RETURN;
    END IF;
    SELECT i.epoch, p_room_id % i.outbox_partitions INTO STRICT v_epoch, v_partition
    FROM chat_installation i;
    FOR v_chunk IN 0 .. v_chunks - 1 LOOP
        INSERT INTO chat_outbox (method, payload, partition, created_at)
        VALUES (
            'broadcast',
            json_build_object(
                'channels', p_channels[v_chunk * 1000 + 1 : v_chunk * 1000 + 1000],
                'data', p_event,
                'idempotency_key',
                v_epoch || ':' || p_room_id || ':' || p_version || ':' || v_chunk),
            v_partition,
            clock_timestamp());
    END LOOP;
    PERFORM pg_notify('chat_outbox', v_partition::text);
END $$;

-- The channels of everyone who is a member now, in the order of joining.
CREATE OR REPLACE FUNCTION chat.audience(p_room_id bigint) RETURNS text[]
LANGUAGE sql STABLE AS $$
    SELECT array_agg(m.channel ORDER BY m.id) FROM chat_member m WHERE m.room_id = p_room_id
$$;

-- Refuses to run where a snapshot could be older than the room's lock: order and idempotency rest
-- on each statement of a function seeing what was committed before it.
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
-- many. It deletes a prefix in id order: within a room ids rise with versions, so what is kept of
-- each room is dense, even where the clock once jumped backwards.
CREATE OR REPLACE FUNCTION chat.prune_events(p_before timestamptz, p_limit int) RETURNS bigint
LANGUAGE sql AS $$
    WITH pruned AS (
        DELETE FROM chat_event e USING (
            SELECT o.id FROM chat_event o
            WHERE o.id < coalesce((
                SELECT k.id FROM chat_event k WHERE k.created_at >= p_before ORDER BY k.id LIMIT 1
            ), 9223372036854775807)
            ORDER BY o.id LIMIT p_limit
        ) AS old
        WHERE e.id = old.id
        RETURNING 1
    )
    SELECT count(*) FROM pruned
$$;
