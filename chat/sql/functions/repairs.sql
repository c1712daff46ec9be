-- What `manage.py doctor` judges by, and the few things it may mend. A repair recomputes under the
-- lock, so it is right whatever was seen before, and writes no message and no event. Each gives one
-- row when it changed something and none when nothing was wrong any more.

-- Why Centrifugo could not deliver a row of the outbox, or null where it can. A command of ours is
-- a broadcast of one object to 1 to 1,000 personal channels of at most 255 bytes, with a key
-- `<epoch>:<room>:<version>:<chunk>`.
CREATE OR REPLACE FUNCTION chat.outbox_fault(p_method text, p_payload json) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p_method <> 'broadcast' THEN
        RETURN 'the method is not broadcast';
    END IF;
    IF json_typeof(p_payload) <> 'object'
        OR json_typeof(p_payload->'data') IS DISTINCT FROM 'object'
    THEN
        RETURN 'data is not an object';
    END IF;
    IF coalesce(p_payload->>'idempotency_key', '') !~ '^[^:]+:[0-9]{1,18}:[0-9]{1,18}:[0-9]{1,9}$'
    THEN
        RETURN 'the idempotency key is not <epoch>:<room>:<version>:<chunk>';
    END IF;
    IF json_typeof(p_payload->'channels') IS DISTINCT FROM 'array'
        OR json_array_length(p_payload->'channels') NOT BETWEEN 1 AND 1000
    THEN
        RETURN 'channels is not a list of 1 to 1,000';
    END IF;
    IF EXISTS (
        SELECT FROM json_array_elements(p_payload->'channels') AS item (channel)
        WHERE json_typeof(item.channel) <> 'string'
           OR octet_length(item.channel #>> '{}') > 255
           OR (item.channel #>> '{}') COLLATE "C" !~ '^personal:[!-~]+$')
    THEN
        RETURN 'a channel is not personal, not ASCII or longer than 255 bytes';
    END IF;
    RETURN NULL;
EXCEPTION
    -- A string with \u0000 or half a surrogate pair, which no text can hold.
    WHEN data_exception THEN
        RETURN 'a string is not Unicode text';
END $$;

-- The room that a deliverable row tells of.
CREATE OR REPLACE FUNCTION chat.outbox_room(p_payload json) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT split_part(p_payload->>'idempotency_key', ':', 2)::bigint
$$;

-- Counts a room's members anew.
CREATE OR REPLACE FUNCTION chat.repair_member_count(p_room_id bigint)
RETURNS TABLE (before text, after text) LANGUAGE plpgsql AS $$
DECLARE
    v_before int;
    v_after int;
BEGIN
    PERFORM chat.require_read_committed();
    SELECT r.member_count INTO v_before FROM chat_room r WHERE r.id = p_room_id
    FOR NO KEY UPDATE;
    -- A statement of its own: it sees what the last holder of the lock committed.
    SELECT count(*) INTO v_after FROM chat_member m WHERE m.room_id = p_room_id;
    UPDATE chat_room r SET member_count = v_after
    WHERE r.id = p_room_id AND r.member_count <> v_after;
    IF FOUND THEN
        before := v_before;
        after := v_after;
        RETURN NEXT;
    END IF;
END $$;

-- Gives a member the channel of its user. The lock keeps an event from being queued in between.
CREATE OR REPLACE FUNCTION chat.repair_member_channel(p_room_id bigint, p_user_id text)
RETURNS TABLE (before text, after text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM chat.require_read_committed();
    PERFORM FROM chat_room r WHERE r.id = p_room_id FOR NO KEY UPDATE;
    RETURN QUERY
        UPDATE chat_member m SET channel = chat.personal_channel(m.user_id)
        WHERE m.room_id = p_room_id AND m.user_id = p_user_id
          AND m.channel <> chat.personal_channel(m.user_id)
        RETURNING old.channel::text, new.channel::text;
END $$;

-- Moves the sequence of a table's ids beyond the greatest one, never back. Inserts wait meanwhile:
-- an id drawn between looking and setting would be drawn again.
CREATE OR REPLACE FUNCTION chat.repair_sequence(p_table text)
RETURNS TABLE (before text, after text) LANGUAGE plpgsql AS $$
DECLARE
    v_sequence text := pg_get_serial_sequence(p_table, 'id');
    v_next bigint;
    v_greatest bigint;
BEGIN
    PERFORM chat.require_read_committed();
    IF p_table NOT IN ('chat_room', 'chat_member', 'chat_message', 'chat_event', 'chat_outbox') THEN
        RAISE EXCEPTION 'repair_sequence: % is no table of the chat', p_table
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE format('LOCK TABLE %I IN SHARE ROW EXCLUSIVE MODE', p_table);
    EXECUTE format('SELECT s.last_value + s.is_called::int FROM %s s', v_sequence) INTO v_next;
    EXECUTE format('SELECT max(t.id) FROM %I t', p_table) INTO v_greatest;
    IF v_greatest >= v_next THEN
        PERFORM setval(v_sequence, v_greatest);
        before := v_next;
        after := v_greatest + 1;
        RETURN NEXT;
    END IF;
END $$;

-- Moves a deliverable row of the outbox into its room's partition. It may come after later events
-- of the room: clients drop it by its version, and had fetched the gap.
CREATE OR REPLACE FUNCTION chat.repair_outbox_partition(p_id bigint)
RETURNS TABLE (before text, after text) LANGUAGE plpgsql AS $$
DECLARE
    v_room_id bigint;
    v_partition int;
BEGIN
    PERFORM chat.require_read_committed();
    SELECT chat.outbox_room(o.payload) INTO v_room_id FROM chat_outbox o
    WHERE o.id = p_id AND chat.outbox_fault(o.method, o.payload) IS NULL;
    PERFORM FROM chat_room r WHERE r.id = v_room_id FOR NO KEY UPDATE;
    SELECT v_room_id % i.outbox_partitions INTO v_partition FROM chat_installation i;
    RETURN QUERY
        UPDATE chat_outbox o SET partition = v_partition
        WHERE o.id = p_id AND o.partition <> v_partition
        RETURNING old.partition::text, new.partition::text;
    IF FOUND THEN
        PERFORM pg_notify('chat_outbox', v_partition::text);
    END IF;
END $$;

-- Removes a row of the outbox that can never be delivered; `before` is the row, whole. Its event
-- stays in the log, where clients fetch it.
CREATE OR REPLACE FUNCTION chat.repair_outbox_row(p_id bigint)
RETURNS TABLE (before text, after text) LANGUAGE sql AS $$
    DELETE FROM chat_outbox o
    WHERE o.id = p_id AND chat.outbox_fault(o.method, o.payload) IS NOT NULL
    RETURNING row_to_json(o)::text, NULL::text
$$;
