-- Who can be listening, and so to whom events are published.
--
-- A user can listen only with a token of ours, and `keep_listeners` writes the user's row before a
-- token is answered. Events are published to the members who have a row. Nobody misses one:
--
-- 1. A change of a room takes the room's lock, and by that a transaction id, before `audience_of`
--    reads the rows. `audience_of` takes one itself in any case, and reads in a snapshot of its own.
-- 2. So at any moment each change is of one of two kinds: it has no transaction id yet, and then its
--    snapshot is later than this moment; or `running_writes` shows its id, until others see what it
--    committed: PostgreSQL makes a commit visible before it releases the lock on the id.
-- 3. A token is answered after the row was committed and then, at a later moment, every id that
--    `running_writes` showed has ended. A change that did not see the row is of the second kind at
--    that moment. So it has ended, and what the client reads after it subscribed contains it.
--
-- A change that is not in `running_writes` (of the host's own transaction, the admin, a command) is
-- published to every member. This is why `audience_of` looks at the name by which `running_writes`
-- knows a session.

-- Makes each user a listener for at least p_seconds from now, and returns a row for each. It writes
-- nothing for a user who is one for longer; otherwise it writes a quarter more, so that a client that
-- asks every ten minutes causes few writes.
--
-- is_settled   whether a token may be answered at once. False after a lapse, until
--              `settle_listeners`: also for a second request of the same user, which must not
--              overtake the first
-- is_resuming  whether the client may recover from Centrifugo's history. False for two days after
--              the user came back from a lapse: Centrifugo may still have a history from before it,
--              in which an event that was not published is missing without a gap. It has at most 100
--              publications, none more than ten minutes after the one before
--
-- Half of p_seconds before `until`, the user counts as lapsed: a clock that jumps by less than that
-- while a change runs is no danger.
CREATE OR REPLACE FUNCTION chat.keep_listeners(p_user_ids text[], p_seconds int)
RETURNS TABLE (user_id text, until timestamptz, is_settled boolean, is_resuming boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz := clock_timestamp();
    v_kept interval := p_seconds * interval '1 second';
BEGIN
    PERFORM chat.require_read_committed();
    PERFORM chat.require_list('keep_listeners: p_user_ids', p_user_ids);
    IF coalesce(p_seconds, 0) < 1 THEN
        PERFORM chat.refuse_argument('keep_listeners: p_seconds is not at least 1');
    ELSIF NOT (SELECT coalesce(bool_and(chat.is_user_id(u.id)), true)
               FROM unnest(p_user_ids) AS u (id))
    THEN
        PERFORM chat.refuse_argument('keep_listeners: p_user_ids has an id that no user can have');
    END IF;
    -- In the order of ids: two calls never wait for each other in a circle.
    INSERT INTO chat_listener AS l (user_id, channel, until, is_settled)
    SELECT item.id, chat.personal_channel(item.id), v_now + v_kept * 1.25, false
    FROM (SELECT DISTINCT u.id COLLATE "C" AS id FROM unnest(p_user_ids) AS u (id)) AS item
    WHERE NOT EXISTS (
        SELECT FROM chat_listener k WHERE k.user_id = item.id AND k.until >= v_now + v_kept)
    ORDER BY item.id
    ON CONFLICT (user_id) DO UPDATE
    SET channel = excluded.channel, until = greatest(l.until, excluded.until),
        is_settled = l.is_settled AND l.until >= v_now + v_kept / 2,
        lapsed_at = CASE WHEN l.until <= v_now + interval '1 hour' THEN l.until
                         ELSE l.lapsed_at END;
    RETURN QUERY
        SELECT l.user_id::text, l.until, l.is_settled,
               coalesce(l.lapsed_at < v_now - interval '2 days', true)
        FROM chat_listener l WHERE l.user_id = ANY (p_user_ids);
END $$;

-- The transactions of the API in this database that may have changed something: their ids.
--
-- A session whose name this role may not see counts as one of the API.
CREATE OR REPLACE FUNCTION chat.running_writes() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT l.transactionid::text
    FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
      AND l.pid <> pg_backend_pid() AND a.datname = current_database()
      AND coalesce(a.application_name, 'besedka-api') = 'besedka-api'
$$;

-- Records that all changes have ended that could have missed these rows, so that tokens of these users
-- are answered at once. A row that was written again meanwhile has another `until`, and is left.
CREATE OR REPLACE FUNCTION chat.settle_listeners(p_user_ids text[], p_untils timestamptz[])
RETURNS bigint LANGUAGE sql AS $$
    SELECT chat.require_list('settle_listeners: p_user_ids', p_user_ids);
    SELECT chat.require_list('settle_listeners: p_untils', p_untils);
    SELECT chat.refuse_argument('settle_listeners: the arrays differ in length')
    WHERE cardinality(p_user_ids) <> cardinality(p_untils);
    WITH settled AS (
        UPDATE chat_listener l SET is_settled = true
        FROM (
            SELECT k.user_id FROM chat_listener k
            JOIN unnest(p_user_ids, p_untils) AS item (user_id, until)
                ON k.user_id = item.user_id AND k.until = item.until
            WHERE NOT k.is_settled
            ORDER BY k.user_id FOR NO KEY UPDATE OF k
        ) AS found
        WHERE l.user_id = found.user_id
        RETURNING 1
    )
    SELECT count(*) FROM settled
$$;

-- Deletes at most p_limit users who have been no listeners since p_before; returns how many.
CREATE OR REPLACE FUNCTION chat.prune_listeners(p_before timestamptz, p_limit int) RETURNS bigint
LANGUAGE sql AS $$
    SELECT chat.require_prune_arguments('prune_listeners', p_before, p_limit);
    WITH pruned AS (
        -- As an array: as a join, the plan for any limit can be a scan of all listeners.
        DELETE FROM chat_listener l
        WHERE l.user_id = ANY (ARRAY(
            SELECT k.user_id FROM chat_listener k WHERE k.until < p_before
            ORDER BY k.until LIMIT p_limit FOR UPDATE SKIP LOCKED))
        RETURNING 1
    )
    SELECT count(*) FROM pruned
$$;

-- Whether events of this transaction are published to the members who can be listening: if the session
-- is one of the API's and its setting `besedka.audience` is `listeners`, and not until
-- `everyone_until`. Otherwise they are published to all members.
--
-- It takes a transaction id: the snapshot of the caller's next statement is taken when
-- `running_writes` shows this id.
CREATE OR REPLACE FUNCTION chat.is_for_listeners() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_writer xid8 := pg_current_xact_id();
BEGIN
    RETURN current_setting('besedka.audience', true) = 'listeners'
        AND current_setting('application_name') = 'besedka-api'
        AND (SELECT i.everyone_until > now() FROM chat_installation i) IS NOT TRUE;
END $$;

-- The channels to which an event of a room is published, in any order. The caller holds its lock.
--
-- It is VOLATILE, so each statement sees what was committed before it. The plan is always the generic
-- one: it walks the index of the listeners once, with the sorted ids of the members, which is right for
-- rooms of any size, while planning would take longer than a small room's audience. IS TRUE keeps it
-- from the index of `until`, which is as good as any while the table is empty.
CREATE OR REPLACE FUNCTION chat.audience_of(p_room chat_room) RETURNS text[]
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    -- A statement of its own: the snapshot of the next one is later.
    IF chat.is_for_listeners() THEN
        RETURN ARRAY(
            SELECT l.channel FROM chat_listener l
            WHERE (l.until > now()) IS TRUE AND l.user_id = ANY (ARRAY(
                SELECT m.user_id FROM chat_member m WHERE m.room_id = p_room.id)));
    END IF;
    RETURN ARRAY(SELECT m.channel FROM chat_member m WHERE m.room_id = p_room.id);
END $$;

-- Channels as JSON arrays of at most 1,000 each, what one outbox row holds; empty without channels.
CREATE OR REPLACE FUNCTION chat.chunks(p_channels text[]) RETURNS json[]
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v_chunks json[] := '{}';
BEGIN
    FOR v_n IN 1 .. coalesce(cardinality(p_channels), 0) BY 1000 LOOP
        v_chunks := v_chunks || array_to_json(p_channels[v_n : v_n + 999]);
    END LOOP;
    RETURN v_chunks;
END $$;

-- The audiences of several rooms, each in one entry for 1,000 channels: what `record_events` takes.
-- p_rooms is in the order of ids, and so are both arrays. The caller holds the rooms' locks.
--
-- The listeners of several small rooms are found by one statement, for a third of the cost.
CREATE OR REPLACE FUNCTION chat.audiences(
    p_rooms chat_room[], OUT chunk_rooms bigint[], OUT chunks json[]
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_room chat_room;
    v_chunks json[];
BEGIN
    IF cardinality(p_rooms) > 1 AND chat.is_for_listeners()
        AND NOT EXISTS (SELECT FROM unnest(p_rooms) AS r WHERE r.member_count > 1000)
    THEN
        SELECT array_agg(item.room_id ORDER BY item.room_id),
               array_agg(item.channels ORDER BY item.room_id)
        INTO chunk_rooms, chunks
        FROM (
            SELECT m.room_id, json_agg(l.channel) AS channels
            FROM chat_member m JOIN chat_listener l ON l.user_id = m.user_id
            WHERE (l.until > now()) IS TRUE
              AND m.room_id = ANY (ARRAY(SELECT r.id FROM unnest(p_rooms) AS r))
            GROUP BY m.room_id) AS item;
        RETURN;
    END IF;
    FOREACH v_room IN ARRAY p_rooms LOOP
        v_chunks := chat.chunks(chat.audience_of(v_room));
        chunks := chunks || v_chunks;
        chunk_rooms := chunk_rooms || array_fill(v_room.id, ARRAY[cardinality(v_chunks)]);
    END LOOP;
END $$;
