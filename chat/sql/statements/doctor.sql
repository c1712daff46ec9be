-- name: check_server
-- What the promises rest on below the tables, each as `name = value` where it is not so. The values
-- are the ones that a new session gets; the doctor's own is read-only.
SELECT pg_is_in_recovery() AS is_in_recovery,
       coalesce(bool_or(s.name = 'default_transaction_read_only'), false) AS is_read_only,
       coalesce(array_agg(s.name || ' = ' || s.reset_val ORDER BY s.name)
                FILTER (WHERE s.name <> 'default_transaction_read_only'), '{}') AS unsafe_settings
FROM pg_settings s
WHERE (s.name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND s.reset_val = 'off')
   OR (s.name = 'default_transaction_read_only' AND s.reset_val = 'on');

-- name: read_functions
-- The functions that are installed, each with the SHA-256 of its text.
SELECT p.proname::text AS name, encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex') AS digest
FROM pg_proc p
WHERE p.pronamespace = to_regnamespace('chat');

-- name: read_schema
-- The constraints and indexes of tables, and whether each is in force. An index that is being built
-- at this moment is left out.
SELECT c.conrelid::regclass::text AS table_name, c.contype::text AS kind, c.conname::text AS name,
       ARRAY(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)) AS columns,
       c.convalidated AND c.conenforced AND NOT EXISTS (
           SELECT FROM pg_trigger t WHERE t.tgconstraint = c.oid AND t.tgenabled IN ('D', 'R')
       ) AS is_in_force
FROM pg_constraint c
WHERE c.conrelid IN (SELECT to_regclass(t) FROM unnest(%(tables)s::text[]) t)
UNION ALL
SELECT i.indrelid::regclass::text, 'index', i.indexrelid::regclass::text, '{}',
       i.indisvalid AND i.indisready
FROM pg_index i
WHERE i.indrelid IN (SELECT to_regclass(t) FROM unnest(%(tables)s::text[]) t)
  AND NOT EXISTS (
      SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid);

-- name: check_installation
-- The single row with the database's identity, and the sequences of the ids. The snapshot is older
-- than the look at a sequence, so a running insert never makes a sequence seem behind.
WITH drawn (name, greatest, next) AS (
    SELECT 'chat_room', (SELECT max(id) FROM chat_room),
           (SELECT last_value + is_called::int FROM chat_room_id_seq)
    UNION ALL
    SELECT 'chat_member', (SELECT max(id) FROM chat_member),
           (SELECT last_value + is_called::int FROM chat_member_id_seq)
    UNION ALL
    SELECT 'chat_message', (SELECT max(id) FROM chat_message),
           (SELECT last_value + is_called::int FROM chat_message_id_seq)
    UNION ALL
    SELECT 'chat_event', (SELECT max(id) FROM chat_event),
           (SELECT last_value + is_called::int FROM chat_event_id_seq)
    UNION ALL
    SELECT 'chat_outbox', (SELECT max(id) FROM chat_outbox),
           (SELECT last_value + is_called::int FROM chat_outbox_id_seq)
), bad (code, place) AS (
    SELECT 'sequence_behind', json_build_object('table', name) FROM drawn WHERE greatest >= next
    UNION ALL
    SELECT 'installation_missing', json_build_object('table', 'chat_installation')
    WHERE NOT EXISTS (SELECT FROM chat_installation)
    UNION ALL
    SELECT 'database_copied', json_build_object(
        'identity', i.identity, 'now', chat.database_identity())
    FROM chat_installation i WHERE i.identity <> chat.database_identity()
)
SELECT code, count(*) AS count, array_agg(place) AS places, 0 AS rows, NULL::json AS position
FROM bad GROUP BY code;

-- name: check_outbox
-- The outbox after a row, in the order of ids: can each row be delivered, and will it be soon.
WITH page AS MATERIALIZED (
    SELECT o.id, o.partition, o.created_at, o.payload,
           chat.outbox_fault(o.method, o.payload) AS fault
    FROM chat_outbox o WHERE o.id > %(id)s::bigint ORDER BY o.id LIMIT %(limit)s
), bad (code, place) AS (
    SELECT 'outbox_undeliverable', json_build_object('outbox', p.id, 'why', p.fault)
    FROM page p WHERE p.fault IS NOT NULL
    UNION ALL
    SELECT 'outbox_partition', json_build_object('outbox', p.id, 'partition', p.partition)
    FROM page p CROSS JOIN chat_installation i
    WHERE p.fault IS NULL
      AND p.partition <> mod(chat.outbox_room(p.payload), i.outbox_partitions)
    UNION ALL
    SELECT 'outbox_epoch', json_build_object('outbox', p.id)
    FROM page p CROSS JOIN chat_installation i
    WHERE p.fault IS NULL AND split_part(p.payload->>'idempotency_key', ':', 1) <> i.epoch
    UNION ALL
    SELECT 'outbox_large', json_build_object(
        'outbox', p.id, 'bytes', octet_length((p.payload->'data')::text))
    FROM page p
    WHERE p.fault IS NULL
      AND octet_length((p.payload->'data')::text) > %(large_bytes)s::int
    UNION ALL
    SELECT 'outbox_late', json_build_object('outbox', p.id, 'created_at', p.created_at)
    FROM page p
    WHERE p.created_at < clock_timestamp() - %(late_seconds)s::float8 * interval '1 second'
), found AS (
    SELECT code, count(*) AS count, (array_agg(place))[1 : %(places)s::int] AS places
    FROM bad GROUP BY code
)
SELECT found.code, found.count, found.places, seen.rows, seen.position
FROM (SELECT count(*) AS rows, json_build_object('id', max(id)) AS position FROM page) AS seen
LEFT JOIN found ON true;

-- name: check_rooms
-- Rooms after one of them: their counters against the rows these count, in one snapshot. A page
-- ends where the members to be counted would become too many.
WITH page AS MATERIALIZED (
    SELECT r.* FROM (
        SELECT s.*, sum(s.member_count) OVER (ORDER BY s.id) - s.member_count AS members_before
        FROM (SELECT * FROM chat_room WHERE id > %(room_id)s::bigint
              ORDER BY id LIMIT %(limit)s) s) r
    WHERE r.members_before < 50 * %(limit)s::bigint
), room AS MATERIALIZED (
    SELECT p.id, p.version, p.last_seq, p.member_count, p.bumped_at, p.created_at,
           coalesce(last.seq, 0) AS last_message, last.created_at AS last_sent_at,
           coalesce((SELECT e.version FROM chat_event e WHERE e.room_id = p.id
                     ORDER BY e.version DESC LIMIT 1), p.version) AS head,
           (SELECT count(*) FROM chat_member m WHERE m.room_id = p.id) AS members
    FROM page p
    LEFT JOIN LATERAL (
        SELECT m.seq, m.created_at FROM chat_message m WHERE m.room_id = p.id
        ORDER BY m.seq DESC LIMIT 1) AS last ON true
), bad (code, place) AS (
    SELECT 'seq_head', json_build_object(
        'room', r.id, 'last_seq', r.last_seq, 'last_message', r.last_message)
    FROM room r WHERE r.last_seq <> r.last_message
    UNION ALL
    SELECT 'log_head', json_build_object('room', r.id, 'version', r.version, 'head', r.head)
    -- Each message took a version, also where the log that told so was pruned.
    FROM room r WHERE r.version <> r.head OR r.version < r.last_seq
    UNION ALL
    SELECT 'member_count', json_build_object(
        'room', r.id, 'member_count', r.member_count, 'members', r.members)
    FROM room r WHERE r.member_count <> r.members
    UNION ALL
    SELECT 'bumped_at', json_build_object('room', r.id)
    FROM room r
    WHERE r.last_seq = r.last_message AND r.bumped_at <> coalesce(r.last_sent_at, r.created_at)
), found AS (
    SELECT code, count(*) AS count, (array_agg(place))[1 : %(places)s::int] AS places
    FROM bad GROUP BY code
)
SELECT found.code, found.count, found.places, seen.rows, seen.position
FROM (SELECT count(*) AS rows, json_build_object('room_id', max(id)) AS position FROM page) AS seen
LEFT JOIN found ON true;

-- name: check_members
-- Members after one of them, in the order of rooms and users.
WITH page AS MATERIALIZED (
    SELECT m.room_id, m.user_id, m.channel, m.joined_version, m.joined_at FROM chat_member m
    WHERE (m.room_id, m.user_id) > (%(room_id)s::bigint, %(user_id)s::text)
      AND m.room_id <= %(last_room)s::bigint
    ORDER BY m.room_id, m.user_id LIMIT %(limit)s
), last AS (
    SELECT room_id, user_id FROM page ORDER BY room_id DESC, user_id DESC LIMIT 1
), bad (code, place) AS (
    SELECT 'member_channel', json_build_object('room', p.room_id, 'user', p.user_id)
    FROM page p WHERE p.channel <> chat.personal_channel(p.user_id)
    UNION ALL
    SELECT 'member_version', json_build_object(
        'room', p.room_id, 'user', p.user_id, 'joined_version', p.joined_version)
    FROM page p
    -- The limit keeps this a look-up for each member: never a join with the whole table.
    CROSS JOIN LATERAL (SELECT version FROM chat_room WHERE id = p.room_id LIMIT 1) AS r
    WHERE p.joined_version NOT BETWEEN 1 AND r.version
    UNION ALL
    SELECT 'log_members', json_build_object(
        'room', p.room_id, 'user', p.user_id, 'joined_version', p.joined_version)
    FROM page p
    -- The first event of the call that added the member, if the log still has it.
    CROSS JOIN LATERAL (SELECT type, joined_at FROM chat_event
                        WHERE room_id = p.room_id AND version = p.joined_version LIMIT 1) AS e
    WHERE e.type <> 'user_joined' OR e.joined_at <> p.joined_at
    UNION ALL
    SELECT 'room_missing', json_build_object(
        'table', 'chat_member', 'room', p.room_id, 'user', p.user_id)
    FROM (SELECT DISTINCT room_id FROM page) AS named
    JOIN page p ON p.room_id = named.room_id
    WHERE (SELECT r.id FROM chat_room r WHERE r.id = named.room_id) IS NULL
), found AS (
    SELECT code, count(*) AS count, (array_agg(place))[1 : %(places)s::int] AS places
    FROM bad GROUP BY code
)
SELECT found.code, found.count, found.places, seen.rows, seen.position
FROM (SELECT (SELECT count(*) FROM page) AS rows,
             (SELECT json_build_object('room_id', room_id, 'user_id', user_id) FROM last)
                 AS position) AS seen
LEFT JOIN found ON true;

-- name: check_messages
-- Messages after one of them, in the order of rooms and seqs. The one before is carried from page
-- to page; nothing ever comes in between, since a room's messages only grow at their end.
WITH page AS MATERIALIZED (
    SELECT m.room_id, m.seq, m.id, m.content = '' AS is_empty,
           m.deleted_at IS NOT NULL AS is_deleted
    FROM chat_message m
    WHERE (m.room_id, m.seq) > (%(room_id)s::bigint, %(seq)s::bigint)
      AND m.room_id <= %(last_room)s::bigint
    ORDER BY m.room_id, m.seq LIMIT %(limit)s
), message AS MATERIALIZED (
    SELECT p.*,
           lag(p.seq, 1, CASE WHEN p.room_id = %(room_id)s::bigint THEN %(seq)s::bigint ELSE 0 END)
               OVER in_room AS previous_seq,
           lag(p.id, 1, CASE WHEN p.room_id = %(room_id)s::bigint THEN %(id)s::bigint ELSE 0 END)
               OVER in_room AS previous_id
    FROM page p
    WINDOW in_room AS (PARTITION BY p.room_id ORDER BY p.seq)
), last AS (
    SELECT room_id, seq, id FROM page ORDER BY room_id DESC, seq DESC LIMIT 1
), bad (code, place) AS (
    SELECT 'seq_gap', json_build_object('room', m.room_id, 'seq', m.seq, 'after', m.previous_seq)
    FROM message m WHERE m.seq <> m.previous_seq + 1
    UNION ALL
    SELECT 'id_order', json_build_object('room', m.room_id, 'seq', m.seq, 'message', m.id)
    FROM message m WHERE m.id <= m.previous_id
    UNION ALL
    SELECT 'deleted_text', json_build_object('room', m.room_id, 'message', m.id)
    FROM message m WHERE m.is_empty <> m.is_deleted
    UNION ALL
    SELECT 'room_missing', json_build_object(
        'table', 'chat_message', 'room', p.room_id, 'message', p.id)
    FROM (SELECT DISTINCT room_id FROM page) AS named
    JOIN page p ON p.room_id = named.room_id
    WHERE (SELECT r.id FROM chat_room r WHERE r.id = named.room_id) IS NULL
), found AS (
    SELECT code, count(*) AS count, (array_agg(place))[1 : %(places)s::int] AS places
    FROM bad GROUP BY code
)
SELECT found.code, found.count, found.places, seen.rows, seen.position
FROM (SELECT (SELECT count(*) FROM page) AS rows,
             (SELECT json_build_object('room_id', room_id, 'seq', seq, 'id', id) FROM last)
                 AS position) AS seen
LEFT JOIN found ON true;

-- name: check_events
-- Events after one of them, in the order of rooms and versions, each with its message: versions are
-- dense, and the messages of a room are told once each, in the order of their seqs.
--
-- Carried from page to page: the last event's place and the last message told in its room, null
-- where the log begins above it. Should `prune_events` delete that event in between, what follows
-- is taken for the beginning of the log. A room is compared with its messages on the page on which
-- its events end; so are deletions and joins, of which those on earlier pages are left out.
WITH carried AS (
    SELECT EXISTS (
        SELECT FROM chat_event e
        WHERE e.room_id = %(room_id)s::bigint AND e.version <= %(version)s::bigint) AS is_kept
), page AS MATERIALIZED (
    SELECT e.room_id, e.version, e.type, e.message_id, e.user_id, e.joined_at FROM chat_event e
    WHERE (e.room_id, e.version) > (%(room_id)s::bigint, %(version)s::bigint)
      AND e.room_id <= %(last_room)s::bigint
    ORDER BY e.room_id, e.version LIMIT %(limit)s
), event AS MATERIALIZED (
    SELECT p.*, m.seq, m.room_id AS message_room, m.user_id AS sender,
           m.deleted_at IS NOT NULL AS is_deleted,
           p.room_id = %(room_id)s::bigint AND carried.is_kept AS is_continued,
           first_value(p.version) OVER in_room AS first_version,
           lag(p.version, 1,
               CASE WHEN p.room_id = %(room_id)s::bigint AND carried.is_kept
                    THEN %(version)s::bigint ELSE p.version - 1 END) OVER in_room AS previous
    FROM page p CROSS JOIN carried
    -- The limit keeps this a look-up for each event: never a join with the whole table.
    LEFT JOIN LATERAL (SELECT * FROM chat_message WHERE id = p.message_id LIMIT 1) AS m ON true
    WINDOW in_room AS (PARTITION BY p.room_id ORDER BY p.version)
), log AS MATERIALIZED (
    SELECT e.room_id, CASE WHEN bool_or(e.is_continued) THEN %(seq)s::bigint
                           WHEN min(e.version) = 1 THEN 0 END AS seq
    FROM event e GROUP BY e.room_id
    UNION ALL
    SELECT %(room_id)s::bigint, %(seq)s::bigint FROM carried
    WHERE carried.is_kept AND NOT EXISTS (SELECT FROM page WHERE room_id = %(room_id)s::bigint)
), told AS MATERIALIZED (
    SELECT e.room_id, e.version, e.seq,
           lag(e.seq, 1, CASE WHEN e.is_continued THEN %(seq)s::bigint
                              WHEN e.first_version = 1 THEN 0 END)
               OVER (PARTITION BY e.room_id ORDER BY e.version) AS previous_seq
    FROM event e WHERE e.type = 'message_added' AND e.message_room = e.room_id
), told_last AS (
    SELECT log.room_id, coalesce(last.seq, log.seq) AS seq
    FROM log LEFT JOIN (
        SELECT DISTINCT ON (room_id) room_id, seq FROM told ORDER BY room_id, version DESC
    ) AS last ON last.room_id = log.room_id
), last AS (
    SELECT room_id, version FROM page ORDER BY room_id DESC, version DESC LIMIT 1
), cut AS (
    -- The last room of a full page may go on.
    SELECT CASE WHEN count(*) = %(limit)s THEN max(room_id) END AS room_id FROM page
), deletion AS (
    SELECT e.room_id, e.version, e.message_id,
           bool_or(e.type = 'message_deleted') OVER (PARTITION BY e.message_id) AS is_told
    FROM event e
    WHERE e.is_deleted AND e.type IN ('message_added', 'message_deleted')
), stay AS (
    SELECT e.room_id, e.version, e.type, e.user_id, m.joined_version,
           max(e.version) FILTER (WHERE e.type = 'user_left')
               OVER (PARTITION BY e.room_id, e.user_id) AS left_version
    FROM event e
    LEFT JOIN LATERAL (SELECT joined_version FROM chat_member
                       WHERE room_id = e.room_id AND user_id = e.user_id LIMIT 1) AS m ON true
    WHERE e.type IN ('user_joined', 'user_left')
), bad (code, place) AS (
    SELECT 'log_gap', json_build_object(
        'room', e.room_id, 'version', e.version, 'after', e.previous)
    FROM event e WHERE e.version <> e.previous + 1 OR e.version < 1
    UNION ALL
    SELECT 'event_malformed', json_build_object('room', e.room_id, 'version', e.version)
    FROM event e
    WHERE CASE
        WHEN e.type IN ('message_added', 'message_deleted')
            THEN e.message_id IS NULL OR e.user_id IS NULL
        WHEN e.type IN ('user_joined', 'user_left')
            THEN e.message_id IS NOT NULL OR e.user_id IS NULL OR e.joined_at IS NULL
        WHEN e.type = 'room_updated' THEN e.message_id IS NOT NULL
        ELSE true END
    UNION ALL
    SELECT 'event_wrong_message', json_build_object(
        'room', e.room_id, 'version', e.version, 'message', e.message_id)
    FROM event e
    WHERE e.message_id IS NOT NULL AND (
        e.message_room IS DISTINCT FROM e.room_id OR e.sender <> e.user_id
        OR (e.type = 'message_deleted' AND NOT e.is_deleted))
    UNION ALL
    SELECT 'log_messages', json_build_object(
        'room', t.room_id, 'version', t.version, 'seq', t.seq, 'after', t.previous_seq)
    FROM told t WHERE t.seq <> t.previous_seq + 1
    UNION ALL
    SELECT 'log_messages', json_build_object(
        'room', t.room_id, 'seq', last.seq, 'after', t.seq)
    FROM told_last t
    CROSS JOIN LATERAL (
        SELECT coalesce((SELECT m.seq FROM chat_message m WHERE m.room_id = t.room_id
                         ORDER BY m.seq DESC LIMIT 1), 0) AS seq) AS last
    WHERE t.seq <> last.seq AND t.room_id IS DISTINCT FROM (SELECT room_id FROM cut)
    UNION ALL
    SELECT 'log_deletions', json_build_object(
        'room', d.room_id, 'version', d.version, 'message', d.message_id)
    FROM deletion d
    WHERE NOT d.is_told AND d.room_id IS DISTINCT FROM (SELECT room_id FROM cut)
    UNION ALL
    SELECT 'log_members', json_build_object(
        'room', s.room_id, 'user', s.user_id, 'version', s.version)
    FROM stay s
    WHERE CASE s.type
        -- Whoever came back did so at a later version.
        WHEN 'user_left' THEN s.joined_version < s.version
        ELSE s.joined_version IS NULL AND coalesce(s.left_version, 0) < s.version
             AND s.room_id IS DISTINCT FROM (SELECT room_id FROM cut) END
    UNION ALL
    SELECT 'room_missing', json_build_object(
        'table', 'chat_event', 'room', p.room_id, 'version', p.version)
    FROM (SELECT DISTINCT room_id FROM page) AS named
    JOIN page p ON p.room_id = named.room_id
    WHERE (SELECT r.id FROM chat_room r WHERE r.id = named.room_id) IS NULL
), found AS (
    SELECT code, count(*) AS count, (array_agg(place))[1 : %(places)s::int] AS places
    FROM bad GROUP BY code
)
SELECT found.code, found.count, found.places, seen.rows, seen.position
FROM (SELECT (SELECT count(*) FROM page) AS rows,
             (SELECT json_build_object('room_id', l.room_id, 'version', l.version, 'seq', t.seq)
              FROM last l JOIN told_last t ON t.room_id = l.room_id) AS position) AS seen
LEFT JOIN found ON true;

-- name: repair_member_count
-- Counts a room's members anew; see functions/repairs.sql.
SELECT before, after FROM chat.repair_member_count(%(room_id)s);

-- name: repair_member_channel
-- Gives a member the channel of its user; see functions/repairs.sql.
SELECT before, after FROM chat.repair_member_channel(%(room_id)s, %(user_id)s);

-- name: repair_sequence
-- Moves a table's sequence beyond its ids; see functions/repairs.sql.
SELECT before, after FROM chat.repair_sequence(%(table)s);

-- name: repair_outbox_partition
-- Moves a row of the outbox into its partition; see functions/repairs.sql.
SELECT before, after FROM chat.repair_outbox_partition(%(id)s);

-- name: repair_outbox_row
-- Removes a row of the outbox that can never be delivered; see functions/repairs.sql.
SELECT before, after FROM chat.repair_outbox_row(%(id)s);
