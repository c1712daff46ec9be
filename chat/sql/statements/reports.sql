-- name: report_message
-- Reports a message; see functions/reports.sql.
SELECT outcome, report::text, retry_after
FROM chat.report_message(
    %(room_id)s, %(message_id)s, %(reported_by)s::text, %(reason)s::text,
    %(reports_per_user)s::text);

-- name: report_user
-- Reports a user; see functions/reports.sql.
SELECT outcome, report::text, retry_after
FROM chat.report_user(
    %(user_id)s::text, %(room_id)s::bigint, %(reported_by)s::text, %(reason)s::text,
    %(reports_per_user)s::text);

-- name: decide_report
-- Decides about a report and does it; see functions/reports.sql.
SELECT outcome, decision::text
FROM chat.decide_report(
    %(by)s::json, %(report_id)s, %(decision)s::text, %(note)s::text, %(until)s::timestamptz,
    %(expected)s::bigint);

-- name: list_open_reports
-- The reports that nobody has decided about, the oldest first, after one of them.
SELECT chat.report_body(r)::text AS report FROM chat_report r
WHERE r.decision IS NULL AND r.id > coalesce(%(position)s::bigint, 0)
ORDER BY r.id LIMIT %(limit)s;

-- name: list_open_reports_backwards
-- The same before one of them, the nearest first.
SELECT chat.report_body(r)::text AS report FROM chat_report r
WHERE r.decision IS NULL AND r.id < %(position)s::bigint
ORDER BY r.id DESC LIMIT %(limit)s;

-- name: list_decided_reports
-- The reports that were decided about, the newest report first, after one of them.
SELECT chat.report_body(r)::text AS report FROM chat_report r
WHERE r.decision IS NOT NULL
  AND r.id < coalesce(%(position)s::bigint, 9223372036854775807)
ORDER BY r.id DESC LIMIT %(limit)s;

-- name: list_decided_reports_backwards
-- The same before one of them, the nearest first.
SELECT chat.report_body(r)::text AS report FROM chat_report r
WHERE r.decision IS NOT NULL AND r.id > %(position)s::bigint
ORDER BY r.id LIMIT %(limit)s;

-- name: find_report
-- One report with what it takes to decide: the message, the five before it and the five after it, what
-- else the user was reported for, and what was decided before, the latest first.
SELECT chat.report_body(r)::text AS report,
       (SELECT chat.message_body(m) FROM chat_message m WHERE m.id = r.message_id)::text AS message,
       (SELECT coalesce(json_agg(chat.message_body(c) ORDER BY c.seq), '[]')
        FROM chat_message c
        WHERE c.room_id = r.room_id
          AND c.seq BETWEEN (SELECT m.seq FROM chat_message m WHERE m.id = r.message_id) - 5
                    AND (SELECT m.seq FROM chat_message m WHERE m.id = r.message_id) + 5
       )::text AS context,
       (SELECT count(*) FROM chat_report o WHERE o.user_id = r.user_id AND o.id <> r.id)
           AS other_reports,
       (SELECT coalesce(json_agg(chat.decision_body(d) ORDER BY d.id DESC), '[]')
        FROM chat_decision d WHERE d.report_id = r.id)::text AS decisions
FROM chat_report r WHERE r.id = %(report_id)s;
