-- The words that are not sent as they are. Each process keeps them all, and looks for them in what it is
-- given to send: see chat/queries/words.py.

-- Puts a word on the list, or changes what is done about it; repeating it changes nothing. One row:
-- `added`, `changed`, `already` or `limit_reached`; `invalid` for a word or an action that cannot be stored.
--
-- p_skeleton: the word as texts are compared with it, which is the list's key: two spellings of one word are
-- one word. p_most: how many words the list may have.
CREATE OR REPLACE FUNCTION chat.put_word(
    p_by json, p_word text, p_skeleton text, p_action text, p_most int
) RETURNS TABLE (outcome text) LANGUAGE plpgsql AS $$
DECLARE
    v_before chat_word;
BEGIN
    PERFORM chat.require_read_committed();
    -- Changes of the list come one after another, so the limit is exact.
    PERFORM pg_advisory_xact_lock(7331006);
    SELECT w.* INTO v_before FROM chat_word w WHERE w.skeleton = p_skeleton;
    outcome := CASE
        WHEN (char_length(p_word) BETWEEN 1 AND 64 AND char_length(p_skeleton) BETWEEN 1 AND 256
              AND p_action IN ('refuse', 'mask', 'report')) IS NOT TRUE THEN 'invalid'
        WHEN v_before.word = p_word AND v_before.action = p_action THEN 'already'
        WHEN v_before.id IS NOT NULL THEN 'changed'
        WHEN EXISTS (SELECT FROM chat_word w ORDER BY w.id OFFSET p_most - 1) THEN 'limit_reached'
        ELSE 'added' END;
    IF outcome = 'changed' THEN
        UPDATE chat_word w SET word = p_word, action = p_action WHERE w.id = v_before.id;
    ELSIF outcome = 'added' THEN
        INSERT INTO chat_word (word, skeleton, action) VALUES (p_word, p_skeleton, p_action);
    END IF;
    IF outcome IN ('added', 'changed') THEN
        PERFORM chat.write_audit(
            p_by, 'word_put', NULL, NULL, json_build_object('word', p_word, 'action', p_action));
    END IF;
    RETURN NEXT;
END $$;

-- Takes a word off the list; repeating it changes nothing. One row: `deleted` or `not_found`.
CREATE OR REPLACE FUNCTION chat.delete_word(p_by json, p_skeleton text)
RETURNS TABLE (outcome text) LANGUAGE plpgsql AS $$
DECLARE
    v_word chat_word;
BEGIN
    PERFORM chat.require_read_committed();
    PERFORM pg_advisory_xact_lock(7331006);
    DELETE FROM chat_word w WHERE w.skeleton = p_skeleton RETURNING w.* INTO v_word;
    outcome := CASE WHEN v_word.id IS NULL THEN 'not_found' ELSE 'deleted' END;
    IF outcome = 'deleted' THEN
        PERFORM chat.write_audit(
            p_by, 'word_deleted', NULL, NULL,
            json_build_object('word', v_word.word, 'action', v_word.action));
    END IF;
    RETURN NEXT;
END $$;

-- Puts a message into the queue of reports for the words in it; repeating it changes nothing. One row:
-- `reported`, `already`, or `not_found` where the message's room was deleted meanwhile.
CREATE OR REPLACE FUNCTION chat.report_words(p_message_id bigint, p_words text)
RETURNS TABLE (outcome text) LANGUAGE plpgsql AS $$
DECLARE
    v_report chat_report;
BEGIN
    PERFORM chat.require_read_committed();
    SELECT m.room_id, m.id, m.user_id
    INTO v_report.room_id, v_report.message_id, v_report.user_id
    FROM chat_message m JOIN chat_room r ON r.id = m.room_id
    WHERE m.id = p_message_id
    FOR KEY SHARE OF r;
    IF NOT FOUND THEN
        outcome := 'not_found';
        RETURN NEXT;
        RETURN;
    END IF;
    v_report.reported_by := '~words';
    v_report.reason := left(p_words, 500);
    RETURN QUERY SELECT w.outcome FROM chat.write_report(v_report, NULL) AS w;
END $$;
