-- What `manage.py doctor` judges the outbox by, and its repairs. A repair looks again under the
-- lock, so it is right whatever was found before, and writes no message and no event. It returns
-- one row if it changed something, and none if nothing was wrong any more.

-- The epoch, room, version and chunk in the idempotency key of a row; null if it has no such key.
CREATE OR REPLACE FUNCTION chat.outbox_key(p_payload json) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN regexp_match(p_payload->>'idempotency_key',
                        '^([^:]+):([0-9]{1,18}):([0-9]{1,18}):([0-9]{1,9})$');
EXCEPTION
    -- A string with \u0000 or half a surrogate pair, which no text can hold.
    WHEN data_exception THEN
        RETURN NULL;
END $$;

-- Why Centrifugo could not deliver a row of the outbox, or null if it can. A command of ours is a
-- broadcast of one object to 1 to 1,000 personal channels of at most 255 bytes, with a key
-- `<epoch>:<room>:<version>:<chunk>`; or a disconnect of one user, with a code and a reason.
CREATE OR REPLACE FUNCTION chat.outbox_fault(p_method text, p_payload json) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN CASE
        WHEN p_method = 'disconnect' THEN CASE
            WHEN chat.is_user_id(p_payload->>'user') IS NOT true THEN 'user is not a user id'
            WHEN json_typeof(p_payload #> '{disconnect,code}') IS DISTINCT FROM 'number'
                OR json_typeof(p_payload #> '{disconnect,reason}') IS DISTINCT FROM 'string'
                THEN 'disconnect is not a code and a reason' END
        WHEN p_method <> 'broadcast' THEN 'the method is neither broadcast nor disconnect'
        WHEN json_typeof(p_payload) <> 'object'
            OR json_typeof(p_payload->'data') IS DISTINCT FROM 'object'
            THEN 'data is not an object'
        WHEN json_typeof(p_payload->'channels') IS DISTINCT FROM 'array'
            OR json_array_length(p_payload->'channels') NOT BETWEEN 1 AND 1000
            THEN 'channels is not a list of 1 to 1,000'
        WHEN EXISTS (
            SELECT FROM json_array_elements(p_payload->'channels') AS item (channel)
            WHERE json_typeof(item.channel) <> 'string'
               OR octet_length(item.channel #>> '{}') > 255
               OR (item.channel #>> '{}') COLLATE "C" !~ '^personal:[!-~]+$')
            THEN 'a channel is not personal, not ASCII or longer than 255 bytes'
        WHEN chat.outbox_key(p_payload) IS NULL
            THEN 'the idempotency key is not <epoch>:<room>:<version>:<chunk>'
    END;
EXCEPTION
    WHEN data_exception THEN
        RETURN 'a string is not Unicode text';
END $$;

-- The seq of the last message that a room's log adds before a version: 0 if it adds none, null if
-- that is unknown because events were pruned.
CREATE OR REPLACE FUNCTION chat.last_added_seq(p_room_id bigint, p_version bigint) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        (SELECT m.seq FROM (
            -- An event whose message is gone adds none; in a log of such events this ends.
            SELECT e.version, e.message_id FROM chat_event e
            WHERE e.room_id = p_room_id AND e.version < p_version AND e.type = 'message_added'
            ORDER BY e.version DESC LIMIT 1000) AS e
         JOIN chat_message m ON m.id = e.message_id AND m.room_id = p_room_id
         ORDER BY e.version DESC LIMIT 1),
        (SELECT 0 FROM chat_event e WHERE e.room_id = p_room_id AND e.version = 1))
$$;

-- Counts the members of a room again.
CREATE OR REPLACE FUNCTION chat.repair_member_count(p_room_id bigint)
RETURNS TABLE (before text, after text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM chat.require_read_committed();
    PERFORM FROM chat_room r WHERE r.id = p_room_id FOR NO KEY UPDATE;
    -- A statement of its own: it sees what the last holder of the lock committed.
    RETURN QUERY
        UPDATE chat_room r SET member_count = counted.members
        FROM (SELECT count(*) AS members FROM chat_member m WHERE m.room_id = p_room_id) AS counted
        WHERE r.id = p_room_id AND r.member_count <> counted.members
        RETURNING old.member_count::text, new.member_count::text;
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

-- Gives a user who can be listening the channel of the user. An event that is being queued may still
-- go to the other one: its version shows the gap.
CREATE OR REPLACE FUNCTION chat.repair_listener_channel(p_user_id text)
RETURNS TABLE (before text, after text) LANGUAGE sql AS $$
    UPDATE chat_listener l SET channel = chat.personal_channel(l.user_id)
    WHERE l.user_id = p_user_id AND l.channel <> chat.personal_channel(l.user_id)
    RETURNING old.channel::text, new.channel::text
$$;

-- Moves the sequence of a table's ids beyond the greatest one, never back. Inserts wait meanwhile:
-- an id drawn between looking and setting would be drawn again.
CREATE OR REPLACE FUNCTION chat.repair_sequence(p_table text)
RETURNS TABLE (before text, after text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM chat.require_read_committed();
    EXECUTE format('LOCK TABLE %I IN SHARE ROW EXCLUSIVE MODE', p_table);
    RETURN QUERY EXECUTE format(
        'SELECT drawn.next::text, (setval(%1$L, used.greatest) + 1)::text
         FROM (SELECT last_value + is_called::int AS next FROM %1$s) AS drawn,
              (SELECT max(id) AS greatest FROM %2$I) AS used
         WHERE used.greatest >= drawn.next',
        pg_get_serial_sequence(p_table, 'id'), p_table);
END $$;

-- The partition in which a row of the outbox belongs: by its room, and by the number of members in
-- its event, or by its user. The row can be delivered.
CREATE OR REPLACE FUNCTION chat.partition_of_row(p_payload json, p_partitions int) RETURNS int
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN chat.outbox_key(p_payload) IS NULL
        THEN chat.partition_of_user(p_payload->>'user', p_partitions)
        ELSE chat.partition_of(
            (chat.outbox_key(p_payload))[2]::bigint,
            CASE WHEN json_typeof(p_payload #> '{data,body,room,member_count}') = 'number'
                 THEN least((p_payload #>> '{data,body,room,member_count}')::numeric, 1000000)::int
            END,
            p_partitions) END
$$;

-- Moves a row of the outbox that can be delivered into the partition of its room. It may come after
-- later events of the room: clients drop it by its version, and have fetched it before.
CREATE OR REPLACE FUNCTION chat.repair_outbox_partition(p_id bigint)
RETURNS TABLE (before text, after text) LANGUAGE plpgsql AS $$
DECLARE
    v_room_id bigint;
    v_partition int;
BEGIN
    PERFORM chat.require_read_committed();
    SELECT (chat.outbox_key(o.payload))[2]::bigint,
           chat.partition_of_row(o.payload, i.outbox_partitions)
    INTO v_room_id, v_partition FROM chat_outbox o, chat_installation i
    WHERE o.id = p_id AND chat.outbox_fault(o.method, o.payload) IS NULL;
    PERFORM FROM chat_room r WHERE r.id = v_room_id FOR NO KEY UPDATE;
    RETURN QUERY
        UPDATE chat_outbox o SET partition = v_partition
        WHERE o.id = p_id AND o.partition <> v_partition
        RETURNING old.partition::text, new.partition::text;
END $$;

-- Removes a row of the outbox that can never be delivered; `before` is the whole row. Its event
-- stays in the log, where clients fetch it.
CREATE OR REPLACE FUNCTION chat.repair_outbox_row(p_id bigint)
RETURNS TABLE (before text, after text) LANGUAGE sql AS $$
    DELETE FROM chat_outbox o
    WHERE o.id = p_id AND chat.outbox_fault(o.method, o.payload) IS NOT NULL
    RETURNING row_to_json(o)::text, NULL::text
$$;
