-- The installation: what distinguishes this database's events from those of a copy of it.

-- Identifies this database among its copies: by the cluster, its timeline (changes with a promotion
-- or a recovery to a point in time), the database (changes with each copy within a cluster) and the
-- table (changes when it is dumped and loaded). A snapshot of the disk has the same identity.
--
-- The timeline is that of the log being written. The control file, which is all that a standby has,
-- shows the timeline before for some minutes after a promotion.
CREATE OR REPLACE FUNCTION chat.database_identity() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT concat_ws('/', s.system_identifier, CASE
               WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())
               ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int
           END, d.oid, 'chat_installation'::regclass::oid)
    FROM pg_control_system() s, pg_database d WHERE d.datname = current_database()
$$;

-- Makes each revocation a change of this transaction. Another cluster counts transactions from a lower
-- number: each process would read the rows from before again and again.
CREATE OR REPLACE FUNCTION chat.renumber_revocations() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT max(r.changed_in) FROM chat_revocation r)
        >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint
    THEN
        UPDATE chat_revocation r SET changed_in = pg_current_xact_id()::text::bigint;
    END IF;
END $$;

-- Starts over in a database that lost events after it had sent them: no version, id or event from now
-- on can be taken for an earlier one. One row: the number of rooms, and the new epoch.
--
-- Versions, and the ids of rooms and messages, continue from the present time in microseconds since
-- 1970, far above any that were lost. No room has an event every microsecond, so this works however
-- often the same dump is restored. JavaScript's numbers can represent such a value until the year
-- 2255. The log and the outbox start empty, so a client of any version gets 410 and reads the room
-- again. Each room's members receive a `room_updated` whose version is far beyond theirs. For a day,
-- which is longer than any token is valid, events are published to every member.
CREATE OR REPLACE FUNCTION chat.start_over() RETURNS TABLE (rooms bigint, epoch text)
LANGUAGE plpgsql AS $$
DECLARE
    v_start bigint;
    v_room chat_room;
    v_table text;
BEGIN
    PERFORM chat.require_read_committed();
    -- No session writes, or reads the log, until this is committed. All locks are taken first. Where
    -- another session (a backup, a report) holds one for long, this fails and releases the others.
    PERFORM set_config('lock_timeout', '10s', true);
    LOCK TABLE chat_room IN EXCLUSIVE MODE;
    LOCK TABLE chat_event, chat_outbox IN ACCESS EXCLUSIVE MODE;
    v_start := floor(extract(epoch FROM clock_timestamp()) * 1000000);
    epoch := replace(gen_random_uuid()::text, '-', '');
    -- Users who took a token after the backup listen with it, and are in no restored row.
    UPDATE chat_installation i
    SET epoch = start_over.epoch, identity = chat.database_identity(),
        everyone_until = clock_timestamp() + interval '1 day';
    -- TRUNCATE is refused while checks of foreign keys are pending in the caller's transaction.
    SET CONSTRAINTS ALL IMMEDIATE;
    TRUNCATE chat_event, chat_outbox;
    FOREACH v_table IN ARRAY ARRAY['chat_room', 'chat_member', 'chat_message'] LOOP
        PERFORM setval(s.name, greatest(v_start, nextval(s.name)))
        FROM (SELECT pg_get_serial_sequence(v_table, 'id') AS name) s;
    END LOOP;
    UPDATE chat_room r SET version = greatest(v_start, r.version + 1);
    PERFORM chat.renumber_revocations();
    FOR v_room IN SELECT * FROM chat_room r WHERE r.member_count > 0 ORDER BY r.id LOOP
        PERFORM chat.record_event('room_updated', v_room, chat.audience_of(v_room));
    END LOOP;
    SELECT count(*) INTO rooms FROM chat_room;
    RETURN NEXT;
END $$;

-- Accepts this database as the same one, after a move that lost nothing. One row: its identity.
CREATE OR REPLACE FUNCTION chat.accept_identity() RETURNS TABLE (identity text)
LANGUAGE sql AS $$
    SELECT chat.renumber_revocations();
    UPDATE chat_installation SET identity = chat.database_identity() RETURNING identity
$$;
