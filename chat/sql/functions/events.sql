-- The event log and the outbox. `record_events` is the only way in: every change of a room passes
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
        WHEN p_event.type IN ('user_joined', 'user_left') THEN JSON_OBJECT(
            'user': p_event.user_id, 'joined_at': chat.time_text(p_event.joined_at),
            'first_version': p_event.first_version, 'role': p_event.details ->> 'role',
            'room': chat.room_of_event(p_event, p_room_name)
            ABSENT ON NULL RETURNING json)
        WHEN p_event.type = 'member_updated' AND p_event.first_version IS NOT NULL THEN
            json_build_object(
                'user', p_event.user_id, 'role', p_event.details -> 'role',
                'muted_until', p_event.details -> 'muted_until',
                'first_version', p_event.first_version,
                'room', chat.room_of_event(p_event, p_room_name))
        WHEN p_event.type = 'member_updated' THEN json_build_object(
            'user', p_event.user_id, 'role', p_event.details -> 'role',
            'muted_until', p_event.details -> 'muted_until',
            'room', chat.room_of_event(p_event, p_room_name))
        -- Events of the release before, and of a restore, have no details.
        WHEN p_event.type = 'room_updated' AND p_event.details IS NOT NULL THEN json_build_object(
            'room', chat.room_of_event(p_event, p_room_name),
            'kind', p_event.details -> 'kind',
            'external_id', p_event.details -> 'external_id',
            'data', p_event.details -> 'data',
            'archived_at', p_event.details -> 'archived_at',
            'history', p_event.details -> 'history',
            'slow_mode_seconds', p_event.details -> 'slow_mode_seconds')
        WHEN p_event.type IN ('room_updated', 'room_deleted') THEN
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
        WHEN p_event.type = 'member_updated'
            THEN p_event.message_id IS NULL AND p_event.user_id IS NOT NULL
                 AND chat.rank_of(p_event.details ->> 'role') > 0
        WHEN p_event.type IN ('room_updated', 'room_deleted') THEN p_event.message_id IS NULL
        ELSE false END
$$;

-- The partition of a room's events: rooms of more than 1,000 members have the last quarter of the
-- partitions to themselves, so that a large fan-out never delays the events of other rooms. With
-- fewer than four partitions all rooms share them.
--
-- The events of a room that grows or shrinks past the limit can be delivered out of order once: the
-- client sees the gap in their versions and reads the log.
CREATE OR REPLACE FUNCTION chat.partition_of(
    p_room_id bigint, p_member_count int, p_partitions int
) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN p_member_count > 1000 AND p_partitions >= 4
                THEN p_partitions - p_partitions / 4 + p_room_id % (p_partitions / 4)
                ELSE p_room_id % (p_partitions - p_partitions / 4) END::int
$$;

-- Whether this transaction notifies realtime by its own commit: one of the API's sessions (`besedka.notify`),
-- if no other one does so at the moment. See `notify_waiting`.
CREATE OR REPLACE FUNCTION chat.takes_notification() RETURNS boolean LANGUAGE sql AS $$
    SELECT current_setting('besedka.notify', true) IS NOT DISTINCT FROM 'lone'
        AND pg_try_advisory_xact_lock(7331005)
$$;

-- Records changes of rooms: takes each room's next versions, writes the events to the log, queues
-- them for their channels and writes the rooms back. Returns the rooms with their new versions.
--
-- Centrifugo reads the outbox itself: centrifugo/config.json, `consumers`.
--
-- The caller holds the locks of the rooms, so ids of a room's events and outbox rows rise in version
-- order. The arrays of rooms, events and chunks are in one order of rooms; there is at least one event.
--
-- p_rooms: each room once, as it is after the changes; each has an event. Its name, counters and times
-- are written here; any other column the caller writes before. p_events: `room_id`, `type`,
-- `message_id`, `user_id`, `joined_at`, `first_version` and `details` are read. p_messages: parallel to
-- p_events, the message of each event, or null. p_chunk_rooms, p_chunks: parallel, the channels to
-- publish to, as `audiences` returns them; the events of a room without a chunk are only logged.
--
-- An outbox row's idempotency key begins with the installation's epoch: without it a restored
-- database would use keys again, and Centrifugo would drop the events.
--
-- In one loop that composes, and one statement for each table: a statement for each event costs
-- half as much again, and one statement for all tables takes longer to start than a lone send.
CREATE OR REPLACE FUNCTION chat.record_events(
    p_rooms chat_room[], p_events chat_event[], p_messages chat_message[],
    p_chunk_rooms bigint[], p_chunks json[]
) RETURNS chat_room[] LANGUAGE plpgsql AS $$
DECLARE
    v_installation chat_installation;
    v_now timestamptz := clock_timestamp();
    v_room chat_room;
    v_rooms chat_room[] := '{}';
    v_at int := 0;
    v_event chat_event;
    v_events chat_event[] := '{}';
    v_body json;
    v_first_chunk int := 1;
    v_chunk int;
    v_payloads json[] := '{}';
    v_partition int;
    v_partitions int[] := '{}';
BEGIN
    SELECT * INTO STRICT v_installation FROM chat_installation;
    FOR v_n IN 1 .. cardinality(p_events) LOOP
        v_event := p_events[v_n];
        IF v_event.room_id IS DISTINCT FROM v_room.id THEN
            IF v_at > 0 THEN
                v_rooms := v_rooms || v_room;
            END IF;
            v_at := v_at + 1;
            v_room := p_rooms[v_at];
            v_partition := chat.partition_of(
                v_room.id, v_room.member_count, v_installation.outbox_partitions);
            WHILE p_chunk_rooms[v_first_chunk] < v_room.id LOOP
                v_first_chunk := v_first_chunk + 1;
            END LOOP;
        END IF;
        v_room.version := v_room.version + 1;
        v_event.version := v_room.version;
        v_event.member_count := v_room.member_count;
        v_event.bumped_at := v_room.bumped_at;
        v_events := v_events || v_event;

        v_chunk := v_first_chunk;
        WHILE p_chunk_rooms[v_chunk] = v_room.id LOOP
            IF v_chunk = v_first_chunk THEN
                v_body := chat.event_body(v_event, v_room.name, p_messages[v_n]);
            END IF;
            v_payloads := v_payloads || json_build_object(
                'channels', p_chunks[v_chunk],
                'data', v_body,
                'idempotency_key', v_installation.epoch || ':' || v_room.id || ':'
                    || v_room.version || ':' || v_chunk - v_first_chunk);
            v_partitions := v_partitions || v_partition;
            v_chunk := v_chunk + 1;
        END LOOP;
    END LOOP;
    v_rooms := v_rooms || v_room;

    INSERT INTO chat_event (
        room_id, version, type, message_id, user_id, joined_at, first_version, details,
        member_count, bumped_at, created_at)
    SELECT e.room_id, e.version, e.type, e.message_id, e.user_id, e.joined_at, e.first_version,
           e.details, e.member_count, e.bumped_at, v_now
    FROM unnest(v_events) AS e;
    IF cardinality(v_payloads) > 0 THEN
        INSERT INTO chat_outbox (method, payload, partition, created_at)
        SELECT 'broadcast', item.payload, item.partition, v_now
        FROM unnest(v_payloads, v_partitions) AS item (payload, partition);
        -- A lone change is notified of by its own commit, if no other one does so: see notify_outbox.
        IF cardinality(p_events) = 1 AND chat.takes_notification() THEN
            PERFORM pg_notify('chat_outbox', v_partition::text);
        END IF;
    END IF;
    UPDATE chat_room r
    SET name = changed.name, version = changed.version, last_seq = changed.last_seq,
        member_count = changed.member_count, bumped_at = changed.bumped_at,
        bump_id = changed.bump_id
    FROM unnest(v_rooms) AS changed WHERE r.id = changed.id;
    RETURN v_rooms;
END $$;

-- Records one change of a room, as `record_events` does, and returns the room with its new version.
--
-- p_room: the room as it is after the change. p_channels: who receives the event; without any the
-- event is only logged.
CREATE OR REPLACE FUNCTION chat.record_event(
    p_type text, p_room chat_room, p_channels text[],
    p_user_id text DEFAULT NULL, p_joined_at timestamptz DEFAULT NULL,
    p_message chat_message DEFAULT NULL
) RETURNS chat_room LANGUAGE plpgsql AS $$
DECLARE
    v_event chat_event;
    v_chunks json[] := chat.chunks(p_channels);
BEGIN
    v_event.room_id := p_room.id;
    v_event.type := p_type;
    v_event.message_id := p_message.id;
    v_event.user_id := p_user_id;
    v_event.joined_at := p_joined_at;
    RETURN (chat.record_events(
        ARRAY[p_room], ARRAY[v_event], ARRAY[p_message],
        array_fill(p_room.id, ARRAY[cardinality(v_chunks)]), v_chunks))[1];
END $$;

-- Records one change of a room that refers to no message, as `record_events` does, and returns the
-- room with its new version. p_details: what the event's body shows besides the room and p_user_id.
CREATE OR REPLACE FUNCTION chat.record_change(
    p_type text, p_room chat_room, p_channels text[], p_user_id text, p_details json
) RETURNS chat_room LANGUAGE plpgsql AS $$
DECLARE
    v_event chat_event;
    v_chunks json[] := chat.chunks(p_channels);
BEGIN
    v_event.room_id := p_room.id;
    v_event.type := p_type;
    v_event.user_id := p_user_id;
    v_event.details := p_details;
    RETURN (chat.record_events(
        ARRAY[p_room], ARRAY[v_event], ARRAY[NULL::chat_message],
        array_fill(p_room.id, ARRAY[cardinality(v_chunks)]), v_chunks))[1];
END $$;

-- Records that a member has another role, or is muted until another time, and returns the room with its new
-- version. p_member: the member as it is after the change.
CREATE OR REPLACE FUNCTION chat.record_member_update(p_room chat_room, p_member chat_member)
RETURNS chat_room LANGUAGE sql AS $$
    SELECT chat.record_change(
        'member_updated', p_room, chat.audience_of(p_room), p_member.user_id,
        json_build_object(
            'role', p_member.role,
            'muted_until', CASE WHEN p_member.muted_until > clock_timestamp()
                                THEN chat.time_text(p_member.muted_until) END))
$$;

-- Queues an event that is only for a user's own devices, such as a change of a setting: `{type, body}`.
-- It is in no room's log and has no version, so its body is the whole present state, and the caller
-- holds a lock under which that state changes. A user's events are delivered in order. A client that
-- missed one reads the state again when it resyncs.
CREATE OR REPLACE FUNCTION chat.publish_to_user(p_user_id text, p_type text, p_body json)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_installation chat_installation;
BEGIN
    SELECT * INTO STRICT v_installation FROM chat_installation;
    INSERT INTO chat_outbox (method, payload, partition, created_at)
    VALUES ('broadcast', json_build_object(
        'channels', json_build_array(chat.personal_channel(p_user_id)),
        'data', json_build_object('type', p_type, 'body', p_body),
        'idempotency_key', v_installation.epoch || ':u:' || gen_random_uuid()),
        chat.partition_of(abs(hashtext(p_user_id)::bigint), 1, v_installation.outbox_partitions),
        clock_timestamp());
END $$;

-- Notifies Centrifugo of the partitions of the outbox whose oldest row is older than so many milliseconds.
-- Without it Centrifugo finds them at its next poll (`partition_poll_interval`).
--
-- It is called after the commit of what was queued, in a transaction of its own. A transaction that
-- notifies holds a lock of the whole database from its commit until that is on disk, so all such
-- commits happen one after another, and it cannot be prepared for a commit in two phases. This one does
-- not wait for the disk: a notification that a crash loses is one that the poll makes up for.
--
-- Only in the API's sessions `record_events` notifies in the transaction of a single event, if it gets a
-- lock without waiting (`takes_notification`). So there is at most one such transaction at a time, and none
-- waits for another one's disk. Where it does not get the lock, a call of this function some milliseconds
-- later finds the row; the rows that were notified of are too young, or gone.
--
-- Each partition is one look into an index, also by a plan that was made while the outbox was empty.
CREATE OR REPLACE FUNCTION chat.notify_waiting(p_milliseconds float8) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    -- A transaction that changed something waits for the disk all the same.
    IF pg_current_xact_id_if_assigned() IS NULL THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
    -- With EXISTS the whole outbox could be read and hashed.
    PERFORM pg_notify('chat_outbox', p.partition::text)
    FROM generate_series(0, (SELECT i.outbox_partitions FROM chat_installation i) - 1)
        AS p (partition)
    WHERE (SELECT o.created_at FROM chat_outbox o WHERE o.partition = p.partition
           ORDER BY o.id LIMIT 1)
        <= clock_timestamp() - p_milliseconds * interval '1 millisecond';
END $$;

-- Notifies Centrifugo of all partitions of the outbox that have rows: for a host, after its commit.
CREATE OR REPLACE FUNCTION chat.notify_outbox() RETURNS void LANGUAGE sql AS $$
    SELECT chat.notify_waiting('-infinity')
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
    SELECT chat.require_prune_arguments('prune_events', p_before, p_limit);
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
