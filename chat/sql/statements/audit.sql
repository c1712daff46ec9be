-- name: list_audit
-- The audit, the newest first, after one of its entries. Each part reads through the index of the filter that is
-- given, or of the first one; of the parts one is run.
SELECT chat.audit_body(page)::text AS entry
FROM (
    (SELECT a.* FROM chat_audit a
     WHERE a.room_id = %(room)s::bigint
       AND (%(user)s::text IS NULL OR a.user_id = %(user)s::text)
       AND (%(actor)s::text IS NULL OR a.actor = %(actor)s::text)
       AND (%(action)s::text IS NULL OR a.action = %(action)s::text)
       AND a.id < coalesce(%(position)s::bigint, 9223372036854775807)
     ORDER BY a.id DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT a.* FROM chat_audit a
     WHERE %(room)s::bigint IS NULL
       AND a.user_id = %(user)s::text
       AND (%(actor)s::text IS NULL OR a.actor = %(actor)s::text)
       AND (%(action)s::text IS NULL OR a.action = %(action)s::text)
       AND a.id < coalesce(%(position)s::bigint, 9223372036854775807)
     ORDER BY a.id DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT a.* FROM chat_audit a
     WHERE %(room)s::bigint IS NULL
       AND %(user)s::text IS NULL
       AND a.actor = %(actor)s::text
       AND (%(action)s::text IS NULL OR a.action = %(action)s::text)
       AND a.id < coalesce(%(position)s::bigint, 9223372036854775807)
     ORDER BY a.id DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT a.* FROM chat_audit a
     WHERE %(room)s::bigint IS NULL
       AND %(user)s::text IS NULL
       AND %(actor)s::text IS NULL
       -- As a range: of an equal value, which is rare or not, any plan could be made.
       AND a.action BETWEEN %(action)s::text AND %(action)s::text
       AND a.id < coalesce(%(position)s::bigint, 9223372036854775807)
     ORDER BY a.action DESC, a.id DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT a.* FROM chat_audit a
     WHERE %(room)s::bigint IS NULL
       AND %(user)s::text IS NULL
       AND %(actor)s::text IS NULL
       AND %(action)s::text IS NULL
       AND a.id < coalesce(%(position)s::bigint, 9223372036854775807)
     ORDER BY a.id DESC LIMIT %(limit)s)
) AS page
ORDER BY page.id DESC LIMIT %(limit)s;

-- name: list_audit_backwards
-- The same before one of its entries, the nearest first.
SELECT chat.audit_body(page)::text AS entry
FROM (
    (SELECT a.* FROM chat_audit a
     WHERE a.room_id = %(room)s::bigint
       AND (%(user)s::text IS NULL OR a.user_id = %(user)s::text)
       AND (%(actor)s::text IS NULL OR a.actor = %(actor)s::text)
       AND (%(action)s::text IS NULL OR a.action = %(action)s::text)
       AND a.id > %(position)s::bigint
     ORDER BY a.id LIMIT %(limit)s)
    UNION ALL
    (SELECT a.* FROM chat_audit a
     WHERE %(room)s::bigint IS NULL
       AND a.user_id = %(user)s::text
       AND (%(actor)s::text IS NULL OR a.actor = %(actor)s::text)
       AND (%(action)s::text IS NULL OR a.action = %(action)s::text)
       AND a.id > %(position)s::bigint
     ORDER BY a.id LIMIT %(limit)s)
    UNION ALL
    (SELECT a.* FROM chat_audit a
     WHERE %(room)s::bigint IS NULL
       AND %(user)s::text IS NULL
       AND a.actor = %(actor)s::text
       AND (%(action)s::text IS NULL OR a.action = %(action)s::text)
       AND a.id > %(position)s::bigint
     ORDER BY a.id LIMIT %(limit)s)
    UNION ALL
    (SELECT a.* FROM chat_audit a
     WHERE %(room)s::bigint IS NULL
       AND %(user)s::text IS NULL
       AND %(actor)s::text IS NULL
       -- As a range: of an equal value, which is rare or not, any plan could be made.
       AND a.action BETWEEN %(action)s::text AND %(action)s::text
       AND a.id > %(position)s::bigint
     ORDER BY a.action, a.id LIMIT %(limit)s)
    UNION ALL
    (SELECT a.* FROM chat_audit a
     WHERE %(room)s::bigint IS NULL
       AND %(user)s::text IS NULL
       AND %(actor)s::text IS NULL
       AND %(action)s::text IS NULL
       AND a.id > %(position)s::bigint
     ORDER BY a.id LIMIT %(limit)s)
) AS page
ORDER BY page.id LIMIT %(limit)s;
