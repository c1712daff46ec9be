-- Sending and deleting.

-- Sends messages, each with an outcome row of its own. A retry with the same key is the same message.
--
-- The four arrays are parallel, one entry for each message. All rooms are locked first, in id order,
-- so two calls never wait for each other in a circle. Then each message is inserted in a statement of
-- its own, which sees what the last holder of the lock committed: a key that was used before inserts
-- nothing. A refused message takes no place, so seqs and versions have no gaps. Messages of one room
-- keep the order in which they are given.
--
-- p_wait: true waits for a locked room (at most `lock_timeout`); false answers `busy` for it.
--
-- The plans are always the generic ones: planning a statement for the arrays of each call takes longer
-- than running it.
--
-- outcome     meaning                                               the other columns
-- sent        stored, logged and queued for every member            the message
-- duplicate   this sender used the key here, with this content      the first message
-- conflict    this sender used the key here, with other content     null
-- not_member  no such room, or the sender is not a member           null
-- busy        the room is locked by someone else (p_wait false)     null
-- invalid     no content, or a key that is not 1 to 64 long         null
CREATE OR REPLACE FUNCTION chat.send_messages(
    p_room_ids bigint[], p_user_ids text[], p_client_ids text[], p_contents text[],
    p_wait boolean DEFAULT true
) RETURNS TABLE (
    ordinal int, outcome text, message_id bigint, message_seq bigint, message json
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_order int[] := '{1}';
    v_locked chat_room[];
    v_at int := 0;
    v_room chat_room;
    v_is_changed boolean;
    v_changed chat_room[] := '{}';
    v_message chat_message;
    v_messages chat_message[] := '{}';
    v_event chat_event;
    v_events chat_event[] := '{}';
    v_audiences record;
    v_now timestamptz;
BEGIN
    PERFORM chat.require_read_committed();
    IF cardinality(p_user_ids) <> cardinality(p_room_ids)
        OR cardinality(p_client_ids) <> cardinality(p_room_ids)
        OR cardinality(p_contents) <> cardinality(p_room_ids)
    THEN
        RAISE EXCEPTION 'send_messages: the arrays differ in length'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF cardinality(p_room_ids) <> 1 THEN
        v_order := ARRAY(
            SELECT item.n::int FROM unnest(p_room_ids) WITH ORDINALITY AS item (room_id, n)
            ORDER BY item.room_id, item.n);
    END IF;
    IF p_wait THEN
        v_locked := ARRAY(
            SELECT r FROM chat_room r WHERE r.id = ANY (p_room_ids) ORDER BY r.id
            FOR NO KEY UPDATE);
    ELSE
        v_locked := ARRAY(
            SELECT r FROM chat_room r WHERE r.id = ANY (p_room_ids) ORDER BY r.id
            FOR NO KEY UPDATE SKIP LOCKED);
    END IF;
    v_now := clock_timestamp();

    FOREACH ordinal IN ARRAY v_order LOOP
        -- The next locked room that is not before this one: this one, unless it could not be locked.
        WHILE v_at = 0 OR v_room.id < p_room_ids[ordinal] LOOP
            v_at := v_at + 1;
            v_room := v_locked[v_at];
            v_is_changed := false;
        END LOOP;

        v_message := NULL;
        IF coalesce(p_contents[ordinal], '') = ''
            OR coalesce(char_length(p_client_ids[ordinal]), 0) NOT BETWEEN 1 AND 64
        THEN
            outcome := 'invalid';
        ELSIF v_room.id IS DISTINCT FROM p_room_ids[ordinal] THEN
            PERFORM FROM chat_room r WHERE r.id = p_room_ids[ordinal];
            outcome := CASE WHEN FOUND THEN 'busy' ELSE 'not_member' END;
        ELSE
            PERFORM FROM chat_member m
            WHERE m.room_id = v_room.id AND m.user_id = p_user_ids[ordinal];
            IF FOUND THEN
                -- The key is looked up by inserting, which always uses its index.
                INSERT INTO chat_message (room_id, seq, user_id, client_id, content, created_at)
                VALUES (v_room.id, v_room.last_seq + 1, p_user_ids[ordinal], p_client_ids[ordinal],
                        p_contents[ordinal], v_now)
                ON CONFLICT (room_id, user_id, client_id) DO NOTHING
                RETURNING * INTO v_message;
            END IF;
            IF FOUND THEN
                outcome := 'sent';
            ELSE
                -- For those who are no members too: a retry of a message that was accepted is
                -- answered with it even if its sender was removed in between.
                SELECT m.* INTO v_message FROM chat_message m
                WHERE m.room_id = v_room.id AND m.user_id = p_user_ids[ordinal]
                  AND m.client_id = p_client_ids[ordinal];
                -- A deleted text cannot be compared any more; then the key alone decides.
                outcome := CASE
                    WHEN v_message.id IS NULL THEN 'not_member'
                    WHEN v_message.content = p_contents[ordinal]
                        OR v_message.deleted_at IS NOT NULL THEN 'duplicate'
                    ELSE 'conflict' END;
                IF outcome = 'conflict' THEN
                    v_message := NULL;
                END IF;
            END IF;
        END IF;

        IF outcome = 'sent' THEN
            v_room.last_seq := v_message.seq;
            v_room.bumped_at := v_now;
            v_event.room_id := v_room.id;
            v_event.type := 'message_added';
            v_event.message_id := v_message.id;
            v_event.user_id := v_message.user_id;
            v_messages := v_messages || v_message;
            v_events := v_events || v_event;
            IF v_is_changed THEN
                v_changed[cardinality(v_changed)] := v_room;
            ELSE
                v_changed := v_changed || v_room;
                v_is_changed := true;
            END IF;
        END IF;

        message_id := v_message.id;
        message_seq := v_message.seq;
        message := CASE WHEN v_message.id IS NOT NULL THEN chat.message_body(v_message) END;
        RETURN NEXT;
    END LOOP;

    IF cardinality(v_events) > 0 THEN
        v_audiences := chat.audiences(v_changed);
        PERFORM chat.record_events(
            v_changed, v_events, v_messages, v_audiences.chunk_rooms, v_audiences.chunks);
    END IF;
END $$;

-- Deletes a message's text for everyone and sends the members an event; repeating it changes
-- nothing. The message keeps its id, its seq and its sender. One row: `deleted`, `already` or
-- `not_found`.
CREATE OR REPLACE FUNCTION chat.delete_message(p_message_id bigint)
RETURNS TABLE (outcome text) LANGUAGE plpgsql AS $$
DECLARE
    v_room chat_room;
    v_message chat_message;
BEGIN
    PERFORM chat.require_read_committed();
    SELECT r.* INTO v_room FROM chat_room r
    WHERE r.id = (SELECT m.room_id FROM chat_message m WHERE m.id = p_message_id)
    FOR NO KEY UPDATE;
    UPDATE chat_message m SET content = '', deleted_at = clock_timestamp()
    WHERE m.id = p_message_id AND m.deleted_at IS NULL
    RETURNING * INTO v_message;
    IF FOUND THEN
        PERFORM chat.record_event('message_deleted', v_room, chat.audience_of(v_room),
                                  p_user_id => v_message.user_id, p_message => v_message);
        outcome := 'deleted';
    ELSE
        outcome := CASE WHEN v_room.id IS NULL THEN 'not_found' ELSE 'already' END;
    END IF;
    RETURN NEXT;
END $$;
