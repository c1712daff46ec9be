-- name: search_rooms
-- Rooms whose name contains a text in any spelling, newest first, below a room id: public ones, and of
-- the others those of which the user is a member; none that is archived. The host's service finds all.
--
-- The plan is the same for each text, and the cost of each is bounded. `near`: a text that many rooms
-- have is found among the next 5,000 rooms. `found`: for any other text the index of names is asked,
-- all of it at once; `+ 0` keeps the planner from reading the ids of all rooms beside it. A text
-- that the index does not know (one or two letters) is looked for down to the next multiple of 100,000;
-- where that is not enough for a page, `stopped_at` is that number. It is one of ids, whether or not such
-- rooms exist: the id of a room, or a number of rooms, would tell of rooms that the user may not see.
WITH wanted AS (
    SELECT chat.search_pattern(%(text)s) AS pattern,
           chat.is_searchable_text(%(text)s) AS is_indexed
), part AS (
    SELECT w.pattern, w.is_indexed, CASE WHEN w.is_indexed THEN 5000 ELSE 100000 END AS most,
           CASE WHEN w.is_indexed THEN 0
                ELSE least(%(position)s - 1, (SELECT max(r.id) FROM chat_room r))
                     / 100000 * 100000 END AS low
    FROM wanted w
), near AS MATERIALIZED (
    SELECT n.id FROM (
        SELECT r.id, r.name, r.kind, r.archived_at FROM chat_room r
        WHERE r.id < %(position)s AND r.id >= (SELECT part.low FROM part)
        ORDER BY r.id DESC LIMIT (SELECT part.most FROM part)
    ) AS n
    WHERE chat.search_text(n.name) COLLATE pg_unicode_fast LIKE (SELECT part.pattern FROM part)
      AND (%(is_service)s OR n.archived_at IS NULL AND (n.kind = 'public' OR EXISTS (
          SELECT FROM chat_member o WHERE o.room_id = n.id AND o.user_id = %(user_id)s)))
    ORDER BY n.id DESC LIMIT %(limit)s
), rest AS (
    SELECT part.is_indexed, part.low FROM part WHERE (SELECT count(*) FROM near) < %(limit)s
), found AS (
    SELECT near.id FROM near
    UNION
    SELECT f.id FROM (
        SELECT r.id FROM chat_room r
        WHERE (SELECT rest.is_indexed FROM rest) AND r.id + 0 < %(position)s
          AND chat.search_text(r.name) COLLATE pg_unicode_fast
              LIKE (SELECT part.pattern FROM part)
          AND (%(is_service)s OR r.archived_at IS NULL AND (r.kind = 'public' OR EXISTS (
              SELECT FROM chat_member o WHERE o.room_id = r.id AND o.user_id = %(user_id)s)))
        OFFSET 0
    ) AS f
    ORDER BY id DESC LIMIT %(limit)s
), stop AS (
    SELECT (SELECT nullif(rest.low, 0) FROM rest) AS stopped_at
)
SELECT stop.stopped_at, CASE WHEN r.id IS NOT NULL
           THEN chat.compose_room_v2(r, m, o, o.id IS NOT NULL) END AS room
FROM stop
LEFT JOIN (
    found
    JOIN chat_room r ON r.id = found.id
    LEFT JOIN chat_member o ON o.room_id = r.id AND o.user_id = %(user_id)s
    LEFT JOIN chat_message m
        ON m.room_id = r.id AND m.seq = r.last_seq
        AND o.id IS NOT NULL AND (r.history = 'all' OR m.seq > o.joined_seq)
) ON true
ORDER BY r.id DESC;

-- name: search_rooms_backwards
-- The same above a room id, the nearest first.
WITH wanted AS (
    SELECT chat.search_pattern(%(text)s) AS pattern,
           chat.is_searchable_text(%(text)s) AS is_indexed
), part AS (
    SELECT w.pattern, w.is_indexed, CASE WHEN w.is_indexed THEN 5000 ELSE 100000 END AS most,
           CASE WHEN w.is_indexed THEN 9223372036854775807
                ELSE (%(position)s / 100000 + 1) * 100000 END AS high
    FROM wanted w
), near AS MATERIALIZED (
    SELECT n.id FROM (
        SELECT r.id, r.name, r.kind, r.archived_at FROM chat_room r
        WHERE r.id > %(position)s AND r.id <= (SELECT part.high FROM part)
        ORDER BY r.id LIMIT (SELECT part.most FROM part)
    ) AS n
    WHERE chat.search_text(n.name) COLLATE pg_unicode_fast LIKE (SELECT part.pattern FROM part)
      AND (%(is_service)s OR n.archived_at IS NULL AND (n.kind = 'public' OR EXISTS (
          SELECT FROM chat_member o WHERE o.room_id = n.id AND o.user_id = %(user_id)s)))
    ORDER BY n.id LIMIT %(limit)s
), rest AS (
    SELECT part.is_indexed, part.high FROM part WHERE (SELECT count(*) FROM near) < %(limit)s
), found AS (
    SELECT near.id FROM near
    UNION
    SELECT f.id FROM (
        SELECT r.id FROM chat_room r
        WHERE (SELECT rest.is_indexed FROM rest) AND r.id + 0 > %(position)s
          AND chat.search_text(r.name) COLLATE pg_unicode_fast
              LIKE (SELECT part.pattern FROM part)
          AND (%(is_service)s OR r.archived_at IS NULL AND (r.kind = 'public' OR EXISTS (
              SELECT FROM chat_member o WHERE o.room_id = r.id AND o.user_id = %(user_id)s)))
        OFFSET 0
    ) AS f
    ORDER BY id LIMIT %(limit)s
), stop AS (
    SELECT (SELECT rest.high FROM rest WHERE NOT rest.is_indexed
            AND rest.high < (SELECT max(r.id) FROM chat_room r)) AS stopped_at
)
SELECT stop.stopped_at, CASE WHEN r.id IS NOT NULL
           THEN chat.compose_room_v2(r, m, o, o.id IS NOT NULL) END AS room
FROM stop
LEFT JOIN (
    found
    JOIN chat_room r ON r.id = found.id
    LEFT JOIN chat_member o ON o.room_id = r.id AND o.user_id = %(user_id)s
    LEFT JOIN chat_message m
        ON m.room_id = r.id AND m.seq = r.last_seq
        AND o.id IS NOT NULL AND (r.history = 'all' OR m.seq > o.joined_seq)
) ON true
ORDER BY r.id;
