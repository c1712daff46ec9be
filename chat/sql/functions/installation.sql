-- The installation: what makes this database's events distinct from another's.

-- What tells this database from a copy of it: the cluster, its timeline (another after a promotion
-- or a recovery to a point in time), the database (another for each copy within a cluster) and the
-- table (another after it was dumped and loaded). A snapshot of the disk looks like the original.
--
-- The timeline is that of the log being written: for minutes after a promotion the control file, all
-- that a standby has, tells of the one before.
CREATE OR REPLACE FUNCTION chat.database_identity() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT concat_ws('/', s.system_identifier, CASE
               WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())
               ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int
           END, d.oid, 'chat_installation'::regclass::oid)
    FROM pg_control_system() s, pg_database d WHERE d.datname = current_database()
$$;

-- Begins anew in a database that lost what it had told: nothing told or numbered from now on can
-- be taken for something from before. One row: how many rooms there are, and the new epoch.
--
-- Versions, and the ids of rooms and messages, go on from the present moment in microseconds since
-- 1970, far above any that were lost: no room has an event a microsecond, so this holds however
-- often the same dump is restored. JavaScript's numbers hold such a value until the year 2255. The
-- log and the outbox begin empty, so a client of any version is told 410 and reads the room anew.
-- Each room's members hear of it by a `room_updated` whose version is far beyond theirs.
CREATE OR REPLACE FUNCTION chat.begin_anew() RETURNS TABLE (rooms bigint, epoch text)
LANGUAGE plpgsql AS $$
DECLARE
    v_start bigint;
    v_room chat_room;
    v_table text;
BEGIN
    PERFORM chat.require_read_committed();
    -- Nobody writes, or reads the log, until this is committed. All locks come first, and where
    -- somebody (a backup, a report) holds one for long, this fails instead of waiting with the others.
    PERFORM set_config('lock_timeout', '10s', true);
    LOCK TABLE chat_room IN EXCLUSIVE MODE;
    LOCK TABLE chat_event, chat_outbox IN ACCESS EXCLUSIVE MODE;
    v_start := floor(extract(epoch FROM clock_timestamp()) * 1000000);
    epoch := replace(gen_random_uuid()::text, '-', '');
    UPDATE chat_installation i SET epoch = begin_anew.epoch, identity = chat.database_identity();
    -- Foreign keys that the caller's transaction has still to check would forbid the next.
    SET CONSTRAINTS ALL IMMEDIATE;
    TRUNCATE chat_event, chat_outbox;
    FOREACH v_table IN ARRAY ARRAY['chat_room', 'chat_member', 'chat_message'] LOOP
        PERFORM setval(s.name, greatest(v_start, nextval(s.name)))
        FROM (SELECT pg_get_serial_sequence(v_table, 'id') AS name) s;
    END LOOP;
    UPDATE chat_room r SET version = greatest(v_start, r.version + 1);
    FOR v_room IN SELECT * FROM chat_room r WHERE r.member_count > 0 ORDER BY r.id LOOP
        PERFORM chat.save_room(
            chat.record_event('room_updated', v_room, chat.audience(v_room.id)));
    END LOOP;
    SELECT count(*) INTO rooms FROM chat_room;
    RETURN NEXT;
END $$;

-- Takes this database for the one it was, after a move that lost nothing. One row: its identity.
CREATE OR REPLACE FUNCTION chat.keep_on() RETURNS TABLE (identity text)
LANGUAGE sql AS $$
    UPDATE chat_installation SET identity = chat.database_identity() RETURNING identity
$$;
