-- Reports of messages and users, and what staff and the host's service decide about them.

-- A report as the user who made it sees it: what was decided is not shown.
CREATE OR REPLACE FUNCTION chat.own_report_body(p_report chat_report) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', p_report.id, 'user', p_report.user_id, 'room_id', p_report.room_id,
        'message_id', p_report.message_id, 'reason', p_report.reason,
        'created_at', chat.time_text(p_report.created_at))
$$;

-- A report as staff and the service see it.
CREATE OR REPLACE FUNCTION chat.report_body(p_report chat_report) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', p_report.id, 'user', p_report.user_id, 'room_id', p_report.room_id,
        'message_id', p_report.message_id, 'reason', p_report.reason,
        'created_at', chat.time_text(p_report.created_at),
        'reported_by', p_report.reported_by, 'decision', p_report.decision,
        'decided_at', chat.time_text(p_report.decided_at))
$$;

-- A decision as staff and the service see it.
CREATE OR REPLACE FUNCTION chat.decision_body(p_decision chat_decision) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', p_decision.id, 'report_id', p_decision.report_id, 'decision', p_decision.decision,
        'note', p_decision.note, 'until', chat.time_text(p_decision.until),
        'decided_by', p_decision.decided_by, 'decided_at', chat.time_text(p_decision.decided_at))
$$;

-- Stores a report once, however often it is made: one user's reports are stored one after another.
--
-- p_report: who reports whom, where and why. p_limit: as `count_use` takes it. outcome: `reported`,
-- `already` or `rate_limited`.
CREATE OR REPLACE FUNCTION chat.write_report(p_report chat_report, p_limit text)
RETURNS TABLE (outcome text, report json, retry_after float8) LANGUAGE plpgsql AS $$
DECLARE
    v_found chat_report;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(p_report.reported_by, 7331005));
    -- Three statements, because an index serves `=` and IS NULL, and no condition that is both.
    IF p_report.message_id IS NOT NULL THEN
        SELECT r.* INTO v_found FROM chat_report r
        WHERE r.reported_by = p_report.reported_by AND r.user_id = p_report.user_id
          AND r.message_id = p_report.message_id AND r.room_id = p_report.room_id;
    ELSIF p_report.room_id IS NOT NULL THEN
        SELECT r.* INTO v_found FROM chat_report r
        WHERE r.reported_by = p_report.reported_by AND r.user_id = p_report.user_id
          AND r.message_id IS NULL AND r.room_id = p_report.room_id;
    ELSE
        SELECT r.* INTO v_found FROM chat_report r
        WHERE r.reported_by = p_report.reported_by AND r.user_id = p_report.user_id
          AND r.message_id IS NULL AND r.room_id IS NULL;
    END IF;
    IF v_found.id IS NULL THEN
        retry_after := chat.count_use(p_report.reported_by, 'reported', p_limit);
        outcome := CASE WHEN retry_after IS NULL THEN 'reported' ELSE 'rate_limited' END;
    ELSE
        outcome := 'already';
    END IF;
    IF outcome = 'reported' THEN
        INSERT INTO chat_report (
            room_id, message_id, user_id, reported_by, reason, created_at)
        VALUES (p_report.room_id, p_report.message_id, p_report.user_id, p_report.reported_by,
                p_report.reason, clock_timestamp())
        RETURNING * INTO v_found;
    END IF;
    report := CASE WHEN v_found.id IS NOT NULL THEN chat.own_report_body(v_found) END;
    RETURN NEXT;
END $$;

-- Reports a message that the user can read; repeating it changes nothing. One row:
--
-- outcome        meaning                                              the other columns
-- reported       it is in the queue of staff                          the report
-- already        this user reported this message before               the report as it was made
-- not_found      no such room or message, the user is not a member,   null
--                or may not read so far back
-- rate_limited   the user has reached p_reports_per_user              retry_after, in seconds
-- invalid        the reason is not 1 to 500 characters long           null
CREATE OR REPLACE FUNCTION chat.report_message(
    p_room_id bigint, p_message_id bigint, p_reported_by text, p_reason text,
    p_reports_per_user text
) RETURNS TABLE (outcome text, report json, retry_after float8) LANGUAGE plpgsql AS $$
DECLARE
    v_report chat_report;
BEGIN
    PERFORM chat.require_read_committed();
    IF coalesce(char_length(p_reason), 0) NOT BETWEEN 1 AND 500 THEN
        outcome := 'invalid';
        RETURN NEXT;
        RETURN;
    END IF;
    -- The lock keeps the room from being deleted meanwhile. It does not wait for senders.
    SELECT m.room_id, m.id, m.user_id
    INTO v_report.room_id, v_report.message_id, v_report.user_id
    FROM chat_member o
    JOIN chat_room r ON r.id = o.room_id
    JOIN chat_message m ON m.room_id = r.id AND m.id = p_message_id
    WHERE o.room_id = p_room_id AND o.user_id = p_reported_by
      AND (r.history = 'all' OR m.seq > o.joined_seq)
    FOR KEY SHARE OF r;
    IF NOT FOUND THEN
        outcome := 'not_found';
        RETURN NEXT;
        RETURN;
    END IF;
    v_report.reported_by := p_reported_by;
    v_report.reason := p_reason;
    RETURN QUERY SELECT w.* FROM chat.write_report(v_report, p_reports_per_user) AS w;
END $$;

-- Reports a user; repeating it changes nothing. One row, with the outcomes of `report_message`.
--
-- p_room_id: where it happened, a room of the one who reports; null for no room in particular. Nobody
-- learns whether the reported user exists: users are the host's.
CREATE OR REPLACE FUNCTION chat.report_user(
    p_user_id text, p_room_id bigint, p_reported_by text, p_reason text, p_reports_per_user text
) RETURNS TABLE (outcome text, report json, retry_after float8) LANGUAGE plpgsql AS $$
DECLARE
    v_report chat_report;
BEGIN
    PERFORM chat.require_read_committed();
    IF coalesce(char_length(p_reason), 0) NOT BETWEEN 1 AND 500 OR NOT chat.is_user_id(p_user_id)
    THEN
        outcome := 'invalid';
        RETURN NEXT;
        RETURN;
    END IF;
    IF p_room_id IS NOT NULL THEN
        PERFORM FROM chat_member o JOIN chat_room r ON r.id = o.room_id
        WHERE o.room_id = p_room_id AND o.user_id = p_reported_by
        FOR KEY SHARE OF r;
        IF NOT FOUND THEN
            outcome := 'not_found';
            RETURN NEXT;
            RETURN;
        END IF;
    END IF;
    v_report.room_id := p_room_id;
    v_report.user_id := p_user_id;
    v_report.reported_by := p_reported_by;
    v_report.reason := p_reason;
    RETURN QUERY SELECT w.* FROM chat.write_report(v_report, p_reports_per_user) AS w;
END $$;

-- Does what a decision says, for `decide_report`, which holds the room's lock. Null if it was done, or
-- the outcome to answer with; then nothing was changed.
CREATE OR REPLACE FUNCTION chat.carry_out_decision(
    p_by json, p_report chat_report, p_decision text, p_note text, p_until timestamptz
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_refusal text;
BEGIN
    IF p_decision = 'delete' THEN
        IF p_report.message_id IS NULL THEN
            RETURN 'no_message';
        END IF;
        PERFORM chat.delete_message(p_report.message_id);
    ELSIF p_decision = 'mute' THEN
        IF p_report.room_id IS NULL THEN
            RETURN 'no_room';
        END IF;
        SELECT nullif(nullif(u.outcome, 'changed'), 'unchanged') INTO v_refusal
        FROM chat.update_member(
            p_report.room_id, p_report.user_id, NULL, true,
            coalesce(p_until, timestamptz '9999-12-31 00:00Z'), p_by, NULL, NULL) AS u;
    END IF;
    RETURN v_refusal;
END $$;

-- Decides about a report and does it, in one transaction. A decision about a message is the decision of
-- all its reports that are open. What an earlier decision did is not undone by a later one.
--
-- p_decision: `keep` changes nothing; `delete` deletes the message's text; `mute` mutes the user in the
-- report's room. p_until: until when the user is muted; null is for ever. p_expected: null
-- for an open report, or the id of the report's last decision, which this one replaces. So of two who
-- decide at once the first one wins, and the other learns of it. One row:
--
-- outcome            meaning                                             decision
-- decided            it was done, and is in the history                  the new one
-- already            the same caller decided the same with the same      the one of before
--                    p_expected: a request that is repeated
-- conflict           the last decision is not p_expected; nothing was    the last one, or null
--                    done
-- report_not_found   no such report                                      null
-- no_message         the report is of a user: there is nothing to        null
--                    delete
-- no_room            the report names no room                            null
-- not_member         the user is not in the room any more                null
-- archived           nobody is muted in a room that can only be read     null
-- past               p_until is not in the future                        null
CREATE OR REPLACE FUNCTION chat.decide_report(
    p_by json, p_report_id bigint, p_decision text, p_note text, p_until timestamptz,
    p_expected bigint
) RETURNS TABLE (outcome text, decision json) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_report chat_report;
    v_last chat_decision;
    v_replaced bigint;
    v_now timestamptz;
BEGIN
    PERFORM chat.require_read_committed();
    IF chat.actor_of(p_by) IS NOT NULL OR p_note IS NULL OR char_length(p_note) > 500
        OR (p_decision IN ('keep', 'delete', 'mute')) IS NOT TRUE
        OR (p_until IS NOT NULL AND p_decision NOT IN ('mute'))
    THEN
        PERFORM chat.refuse_argument('decide_report: only staff and the service decide: keep, delete'
            ' or mute, with a note of at most 500 characters, which may be empty; only mute has p_until');
    END IF;
    -- First the room, as everywhere; then the report, whose last decision no other session changes now.
    PERFORM FROM chat_room r
    WHERE r.id = (SELECT o.room_id FROM chat_report o WHERE o.id = p_report_id)
    FOR NO KEY UPDATE;
    SELECT r.* INTO v_report FROM chat_report r WHERE r.id = p_report_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        outcome := 'report_not_found';
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT d.* INTO v_last FROM chat_decision d
    WHERE d.report_id = p_report_id ORDER BY d.id DESC LIMIT 1;
    IF v_last.id IS DISTINCT FROM p_expected THEN
        SELECT d.id INTO v_replaced FROM chat_decision d
        WHERE d.report_id = p_report_id AND d.id < v_last.id ORDER BY d.id DESC LIMIT 1;
        outcome := CASE
            WHEN v_replaced IS NOT DISTINCT FROM p_expected
                AND (v_last.decision, v_last.note, v_last.decided_by)
                    = (p_decision, p_note, p_by ->> 'id')
                AND v_last.until IS NOT DISTINCT FROM p_until
            THEN 'already' ELSE 'conflict' END;
        decision := CASE WHEN v_last.id IS NOT NULL THEN chat.decision_body(v_last) END;
        RETURN NEXT;
        RETURN;
    END IF;
    outcome := chat.carry_out_decision(p_by, v_report, p_decision, p_note, p_until);
    IF outcome IS NOT NULL THEN
        RETURN NEXT;
        RETURN;
    END IF;

    v_now := clock_timestamp();
    WITH decided AS (
        UPDATE chat_report r SET decision = p_decision, decided_at = v_now
        WHERE r.id = ANY (ARRAY[p_report_id] || ARRAY(
            SELECT o.id FROM chat_report o
            WHERE o.message_id = v_report.message_id AND o.decision IS NULL ORDER BY o.id))
        RETURNING r.id
    )
    INSERT INTO chat_decision (report_id, decision, note, until, decided_by, decided_at)
    SELECT decided.id, p_decision, p_note, p_until, p_by ->> 'id', v_now FROM decided;
    SELECT d.* INTO STRICT v_last FROM chat_decision d
    WHERE d.report_id = p_report_id ORDER BY d.id DESC LIMIT 1;
    PERFORM chat.write_audit(
        p_by, 'report_decided', v_report.room_id, v_report.user_id, chat.decision_body(v_last));
    outcome := 'decided';
    decision := chat.decision_body(v_last);
    RETURN NEXT;
END $$;
