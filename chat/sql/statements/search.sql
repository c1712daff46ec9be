-- name: search_rooms
-- Rooms whose name contains a text in any spelling, newest first, below a room id.
--
-- The plan is the same for each text, and the cost of each is bounded. `near`: a text that many rooms
-- have is found among the next 5,000 rooms. `found`: for any other text the index of names is asked,
-- all of it at once; `+ 0` keeps the planner from reading the ids of all rooms beside it. A text
-- that the index does not know (one or two letters) is looked for among the next 100,000 rooms;
-- where that is not enough for a page, `stopped_at` is the last room looked at.
WITH wanted AS (
    SELECT chat.search_pattern(%(text)s) AS pattern,
           chat.is_searchable_text(%(text)s) AS is_indexed
), near AS MATERIALIZED (
    SELECT n.id FROM (
        SELECT r.id, r.name FROM chat_room r WHERE r.id < %(position)s
        ORDER BY r.id DESC
        LIMIT (SELECT CASE WHEN w.is_indexed THEN 5000 ELSE 100000 END FROM wanted w)
    ) AS n
    WHERE chat.search_text(n.name) COLLATE pg_unicode_fast
          LIKE (SELECT w.pattern FROM wanted w)
    ORDER BY n.id DESC LIMIT %(limit)s
), rest AS (
    SELECT w.is_indexed FROM wanted w WHERE (SELECT count(*) FROM near) < %(limit)s
), found AS (
    SELECT near.id FROM near
    UNION
    SELECT f.id FROM (
        SELECT r.id FROM chat_room r
        WHERE (SELECT rest.is_indexed FROM rest) AND r.id + 0 < %(position)s
          AND chat.search_text(r.name) COLLATE pg_unicode_fast
              LIKE (SELECT w.pattern FROM wanted w)
        OFFSET 0
    ) AS f
    ORDER BY id DESC LIMIT %(limit)s
), stop AS (
    SELECT (SELECT r.id FROM chat_room r
            WHERE (SELECT NOT rest.is_indexed FROM rest) AND r.id < %(position)s
            ORDER BY r.id DESC OFFSET 99999 LIMIT 1) AS stopped_at
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
), near AS MATERIALIZED (
    SELECT n.id FROM (
        SELECT r.id, r.name FROM chat_room r WHERE r.id > %(position)s
        ORDER BY r.id
        LIMIT (SELECT CASE WHEN w.is_indexed THEN 5000 ELSE 100000 END FROM wanted w)
    ) AS n
    WHERE chat.search_text(n.name) COLLATE pg_unicode_fast
          LIKE (SELECT w.pattern FROM wanted w)
    ORDER BY n.id LIMIT %(limit)s
), rest AS (
    SELECT w.is_indexed FROM wanted w WHERE (SELECT count(*) FROM near) < %(limit)s
), found AS (
    SELECT near.id FROM near
    UNION
    SELECT f.id FROM (
        SELECT r.id FROM chat_room r
        WHERE (SELECT rest.is_indexed FROM rest) AND r.id + 0 > %(position)s
          AND chat.search_text(r.name) COLLATE pg_unicode_fast
              LIKE (SELECT w.pattern FROM wanted w)
        OFFSET 0
    ) AS f
    ORDER BY id LIMIT %(limit)s
), stop AS (
    SELECT (SELECT r.id FROM chat_room r
            WHERE (SELECT NOT rest.is_indexed FROM rest) AND r.id > %(position)s
            ORDER BY r.id OFFSET 99999 LIMIT 1) AS stopped_at
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
