-- Sending and deleting.

-- How many seconds a user has to wait before sending into a room; 0 for not at all.
--
-- p_sends_per_user, p_sends_per_room: `30/60` means at most 30 in any 60 seconds; null or empty means no
-- limit. Exact, however many processes send: the caller holds the room's lock, and the user's
-- (`lock_users`). The time of the last message but 29 decides, which one entry of an index tells for a
-- room, and 30 tell for a user.
CREATE OR REPLACE FUNCTION chat.seconds_to_wait(
    p_room_id bigint, p_last_seq bigint, p_user_id text, p_now timestamptz,
    p_sends_per_user text, p_sends_per_room text
) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    v_of_user int[] := string_to_array(nullif(p_sends_per_user, ''), '/')::int[];
    v_of_room int[] := string_to_array(nullif(p_sends_per_room, ''), '/')::int[];
    v_user_at timestamptz;
    v_room_at timestamptz;
BEGIN
    IF v_of_user IS NOT NULL THEN
        SELECT m.created_at + v_of_user[2] * interval '1 second' INTO v_user_at
        FROM chat_message m WHERE m.user_id = p_user_id
        ORDER BY m.id DESC OFFSET v_of_user[1] - 1 LIMIT 1;
    END IF;
    IF v_of_room IS NOT NULL THEN
        SELECT m.created_at + v_of_room[2] * interval '1 second' INTO v_room_at
        FROM chat_message m WHERE m.room_id = p_room_id AND m.seq = p_last_seq + 1 - v_of_room[1];
    END IF;
    RETURN greatest(0, extract(epoch FROM greatest(v_user_at, v_room_at) - p_now));
END $$;

-- Makes other calls that limit one of these users wait until this transaction ends; returns the users
-- that another call has locked, if p_wait is false. The caller has all its locks of rooms, and takes
-- these in one order, so no two calls wait for each other in a circle.
CREATE OR REPLACE FUNCTION chat.lock_users(p_user_ids text[], p_wait boolean) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
    v_user record;
    v_locked_by_others text[] := '{}';
BEGIN
    FOR v_user IN
        SELECT DISTINCT hashtextextended(u.id, 7331002) AS key, u.id
        FROM unnest(p_user_ids) AS u (id) ORDER BY key
    LOOP
        IF p_wait THEN
            PERFORM pg_advisory_xact_lock(v_user.key);
        ELSIF NOT pg_try_advisory_xact_lock(v_user.key) THEN
            v_locked_by_others := v_locked_by_others || v_user.id;
        END IF;
    END LOOP;
    RETURN v_locked_by_others;
END $$;

-- Whether a text can be a message's content: it has at least one character, and its JSON has at most
-- 37,845 bytes. An event has at most 41,943, so that 100 of them, a whole history, fit the queue of a
-- client that recovers (`queue_max_size`); 4,096 of them are for the rest of the event and its frame.
-- A character has at most six bytes in JSON for one byte of text, so a short text needs no look at its
-- JSON. tests/architecture/test_one_value.py compares the figures with chat/conf.py.
CREATE OR REPLACE FUNCTION chat.is_content(p_content text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN octet_length(p_content) BETWEEN 1 AND 6307 THEN true
                WHEN octet_length(p_content) BETWEEN 1 AND 37845
                    THEN octet_length(to_json(p_content)::text) - 2 <= 37845
                ELSE false END
$$;

-- What is left of a deleted text: 24 bits, by which a repeated send is compared. The text cannot be
-- computed from them, and one other text in 16,777,216 has the same ones. Anyone who can read the
-- database can test a guess.
CREATE OR REPLACE FUNCTION chat.content_digest(p_message_id bigint, p_content text) RETURNS int
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT get_byte(d.bytes, 0) * 65536 + get_byte(d.bytes, 1) * 256 + get_byte(d.bytes, 2)
    FROM (SELECT sha256(convert_to(p_message_id || ':' || p_content, 'UTF8')) AS bytes) AS d
$$;

-- Whether a text is the one that a message was sent with. A message that was deleted before the
-- digests were kept is equal to any text.
CREATE OR REPLACE FUNCTION chat.is_sent_text(p_message chat_message, p_content text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_message.deleted_at IS NULL THEN p_message.content = p_content
                ELSE coalesce(p_message.digest = chat.content_digest(p_message.id, p_content), true)
           END
$$;

-- Refuses arrays of messages that are no lists of one length, and says which.
CREATE OR REPLACE FUNCTION chat.require_lists_of_sends(
    p_room_ids bigint[], p_user_ids text[], p_client_ids text[], p_contents text[],
    p_are_limited boolean[], p_wait boolean
) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_list record;
BEGIN
    PERFORM chat.require_list('send_messages: p_room_ids', p_room_ids);
    PERFORM chat.require_list('send_messages: p_user_ids', p_user_ids);
    PERFORM chat.require_list('send_messages: p_client_ids', p_client_ids);
    PERFORM chat.require_list('send_messages: p_contents', p_contents);
    PERFORM chat.require_list('send_messages: p_are_limited', coalesce(p_are_limited, '{}'));
    IF p_wait IS NULL THEN
        PERFORM chat.refuse_argument('send_messages: p_wait is null');
    END IF;
    FOR v_list IN
        SELECT l.name, l.length FROM (VALUES
            ('p_user_ids', cardinality(p_user_ids)), ('p_client_ids', cardinality(p_client_ids)),
            ('p_contents', cardinality(p_contents)), ('p_are_limited', cardinality(p_are_limited))
        ) AS l (name, length)
        WHERE l.length <> cardinality(p_room_ids)
    LOOP
        PERFORM chat.refuse_argument(format(
            'send_messages: the arrays differ in length: p_room_ids has %s entries, %s has %s',
            cardinality(p_room_ids), v_list.name, v_list.length));
    END LOOP;
END $$;

-- Why a member may not send into a room now: null, or an outcome of `send_messages_v2`. The caller holds
-- the room's lock, under which a mute, an archive and a block of two in a direct room are written.
CREATE OR REPLACE FUNCTION chat.find_send_refusal(
    p_room chat_room, p_user_id text, p_role text, p_muted_until timestamptz, p_is_barred boolean,
    p_now timestamptz, p_allowed text[]
) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE
        -- The mark is set in all rooms when a user is banned from all of them. It is not taken back when
        -- the ban runs out.
        WHEN p_is_barred AND EXISTS (
            SELECT FROM chat_ban b WHERE b.user_id = p_user_id AND b.room_id IS NULL
              AND coalesce(b.until > p_now, true)) THEN 'banned'
        WHEN p_room.archived_at IS NOT NULL THEN 'archived'
        WHEN p_room.kind || ':' || p_role <> ALL (p_allowed) THEN 'right_required'
        WHEN p_muted_until > p_now THEN 'muted'
        -- In a larger room the two have others to talk to, and a block only marks messages.
        WHEN p_room.kind = 'direct' AND p_room.member_count = 2 AND EXISTS (
            SELECT FROM chat_member o WHERE o.room_id = p_room.id AND o.user_id <> p_user_id
              AND chat.is_block_between(o.user_id, p_user_id)) THEN 'blocked'
        END;
END $$;

-- Counts a message of a member in a room with slow mode, or says how many seconds the member has to wait:
-- null if it was counted, or if the key was used before, so that nothing is sent. It outlasts the
-- membership, so leaving and joining again shortens nothing. The caller holds the room's lock.
CREATE OR REPLACE FUNCTION chat.count_slow_send(
    p_room chat_room, p_user_id text, p_client_id text
) RETURNS float8 LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM chat_message m
    WHERE m.room_id = p_room.id AND m.user_id = p_user_id AND m.client_id = p_client_id;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    RETURN chat.count_use(
        p_user_id, 'slow_mode:' || p_room.id, '1/' || p_room.slow_mode_seconds);
END $$;

-- Sends messages, each with an outcome row of its own. A retry with the same key is the same message.
--
-- The four arrays are parallel, one entry for each message, at most 10,000. All rooms are locked first, in
-- id order, so two calls never wait for each other in a circle. Then each message is inserted in a
-- statement of its own, which sees what the last holder of the lock committed: a key that was used before
-- inserts nothing. A refused message takes no place, so seqs and versions have no gaps. Messages of one
-- room keep the order in which they are given.
--
-- p_are_limited: for each message, whether it is refused beyond the limits of its sender and its room,
-- p_sends_per_user and p_sends_per_room (`seconds_to_wait`), and held to the room's slow mode; null for
-- none. p_wait: true waits for a locked room, or for a limited sender who is sending elsewhere, at most
-- `lock_timeout`; false answers `busy`. p_allowed: where members may send, as `kind:role`; null for
-- everywhere.
--
-- The plans are always the generic ones: planning a statement for the arrays of each call takes longer
-- than running it.
--
-- is_notified, in each row: whether the commit notifies realtime, so that the caller need not.
--
-- outcome         meaning                                             the other columns
-- sent            stored, logged and queued for the audience           the message
-- duplicate       this sender used the key here, with this content     the message as it is now; as it
--                                                                     was sent, for an ex-member, and
--                                                                     where the history begins later
-- conflict        this member used the key here, with other content   null
-- not_member      no such room, or the sender is not a member         null
-- banned          the sender is banned from all rooms                 null
-- archived        the room can only be read                           null
-- right_required  the sender's role may not send in this kind of room  null
-- muted           the sender may not send here now                    until: when the sender may
-- blocked         a direct room of two: one of them blocks the other  null
-- rate_limited    the sender, or the room, has reached its limit, or  retry_after, in seconds
--                 the room is in slow mode
-- busy            someone else has locked the room, or the limited    null
--                 sender is sending elsewhere (p_wait false)
-- invalid         no content, or one too long (`is_content`); a key   null
--                 that is not 1 to 64 long; no room, or no user
CREATE OR REPLACE FUNCTION chat.send_messages_v2(
    p_room_ids bigint[], p_user_ids text[], p_client_ids text[], p_contents text[],
    p_are_limited boolean[], p_sends_per_user text, p_sends_per_room text, p_wait boolean,
    p_allowed text[]
) RETURNS TABLE (
    ordinal int, outcome text, message_id bigint, message_seq bigint, message json,
    retry_after float8, until timestamptz, is_notified boolean
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_order int[] := '{1}';
    v_locked chat_room[];
    v_at int := 0;
    v_room chat_room;
    v_member record;
    v_refusal text;
    v_is_changed boolean;
    v_changed chat_room[] := '{}';
    v_message chat_message;
    v_messages chat_message[] := '{}';
    v_event chat_event;
    v_events chat_event[] := '{}';
    v_audiences record;
    v_now timestamptz;
    v_sending_elsewhere text[];
BEGIN
    PERFORM chat.require_read_committed();
    -- One expression, which is true for what the API sends; otherwise it is found out what is wrong.
    IF (array_dims(p_room_ids) = '[1:' || cardinality(p_room_ids) || ']'
        AND array_dims(p_user_ids) = array_dims(p_room_ids)
        AND array_dims(p_client_ids) = array_dims(p_room_ids)
        AND array_dims(p_contents) = array_dims(p_room_ids)
        AND coalesce(array_dims(p_are_limited) = array_dims(p_room_ids), p_are_limited IS NULL)
        AND cardinality(p_room_ids) <= 10000 AND p_wait IS NOT NULL) IS NOT TRUE
    THEN
        PERFORM chat.require_lists_of_sends(
            p_room_ids, p_user_ids, p_client_ids, p_contents, p_are_limited, p_wait);
    END IF;
    IF cardinality(p_room_ids) <> 1 THEN
        v_order := ARRAY(
            SELECT item.n::int FROM unnest(p_room_ids) WITH ORDINALITY AS item (room_id, n)
            ORDER BY item.room_id, item.n);
    END IF;
    IF p_wait THEN
        v_locked := ARRAY(
            SELECT r FROM chat_room r WHERE r.id = ANY (p_room_ids) AND r.deleted_at IS NULL
            ORDER BY r.id FOR NO KEY UPDATE);
    ELSE
        v_locked := ARRAY(
            SELECT r FROM chat_room r WHERE r.id = ANY (p_room_ids) AND r.deleted_at IS NULL
            ORDER BY r.id FOR NO KEY UPDATE SKIP LOCKED);
    END IF;
    IF p_sends_per_user <> '' AND true = ANY (p_are_limited) THEN
        v_sending_elsewhere := chat.lock_users(ARRAY(
            SELECT item.id FROM unnest(p_user_ids, p_are_limited) AS item (id, is_limited)
            WHERE item.is_limited), p_wait);
    END IF;
    is_notified := cardinality(p_room_ids) = 1 AND chat.takes_notification();
    v_now := clock_timestamp();

    FOREACH ordinal IN ARRAY v_order LOOP
        -- The next locked room that is not before this one: this one, unless it could not be locked.
        WHILE v_at = 0 OR v_room.id < p_room_ids[ordinal] LOOP
            v_at := v_at + 1;
            v_room := v_locked[v_at];
            v_is_changed := false;
        END LOOP;

        v_message := NULL;
        retry_after := NULL;
        until := NULL;
        IF NOT chat.is_content(p_contents[ordinal])
            OR coalesce(char_length(p_client_ids[ordinal]), 0) NOT BETWEEN 1 AND 64
            OR p_room_ids[ordinal] IS NULL OR p_user_ids[ordinal] IS NULL
        THEN
            outcome := 'invalid';
        ELSIF v_room.id IS DISTINCT FROM p_room_ids[ordinal] THEN
            -- To a stranger a locked room is like one that does not exist.
            PERFORM FROM chat_room r
            WHERE r.id = p_room_ids[ordinal] AND r.deleted_at IS NULL AND (EXISTS (
                SELECT FROM chat_member m
                WHERE m.room_id = r.id AND m.user_id = p_user_ids[ordinal]
            ) OR EXISTS (
                SELECT FROM chat_message m
                WHERE m.room_id = r.id AND m.user_id = p_user_ids[ordinal]
                  AND m.client_id = p_client_ids[ordinal]));
            outcome := CASE WHEN FOUND THEN 'busy' ELSE 'not_member' END;
        ELSIF p_are_limited[ordinal] AND p_user_ids[ordinal] = ANY (v_sending_elsewhere) THEN
            outcome := 'busy';
        ELSE
            -- What may refuse the message comes with the member's row.
            SELECT m.role, m.muted_until, m.joined_seq, m.is_barred
            INTO v_member FROM chat_member m
            WHERE m.room_id = v_room.id AND m.user_id = p_user_ids[ordinal];
            IF NOT FOUND THEN
                v_refusal := 'not_member';
            ELSIF v_room.archived_at IS NOT NULL OR v_room.kind = 'direct' OR v_member.is_barred
                OR v_member.muted_until > v_now OR p_allowed IS NOT NULL
            THEN
                v_refusal := chat.find_send_refusal(
                    v_room, p_user_ids[ordinal], v_member.role, v_member.muted_until,
                    v_member.is_barred, v_now, p_allowed);
            ELSE
                v_refusal := NULL;
            END IF;
            IF v_refusal IS NULL AND p_are_limited[ordinal] THEN
                retry_after := nullif(chat.seconds_to_wait(
                    v_room.id, v_room.last_seq, p_user_ids[ordinal], v_now,
                    p_sends_per_user, p_sends_per_room), 0);
                IF retry_after IS NULL AND v_room.slow_mode_seconds > 0
                    AND v_member.role = 'member'
                THEN
                    retry_after := chat.count_slow_send(
                        v_room, p_user_ids[ordinal], p_client_ids[ordinal]);
                END IF;
                IF retry_after IS NOT NULL THEN
                    v_refusal := 'rate_limited';
                END IF;
            END IF;
            IF v_refusal IS NULL THEN
                -- The key is looked up by inserting, which always uses its index.
                INSERT INTO chat_message (room_id, seq, user_id, client_id, content, created_at)
                VALUES (v_room.id, v_room.last_seq + 1, p_user_ids[ordinal], p_client_ids[ordinal],
                        p_contents[ordinal], v_now)
                ON CONFLICT (room_id, user_id, client_id) DO NOTHING
                RETURNING * INTO v_message;
            END IF;
            IF v_message.id IS NOT NULL THEN
                outcome := 'sent';
            ELSE
                -- Whatever refuses it: a retry of a message that was accepted is answered with it, even
                -- if its sender was removed, or muted, in between.
                SELECT m.* INTO v_message FROM chat_message m
                WHERE m.room_id = v_room.id AND m.user_id = p_user_ids[ordinal]
                  AND m.client_id = p_client_ids[ordinal];
                outcome := CASE
                    WHEN v_message.id IS NULL THEN v_refusal
                    WHEN chat.is_sent_text(v_message, p_contents[ordinal]) THEN 'duplicate'
                    WHEN v_refusal = 'not_member' THEN 'not_member'
                    ELSE 'conflict' END;
                IF outcome <> 'duplicate' THEN
                    v_message := NULL;
                ELSIF v_refusal = 'not_member' OR (
                    v_room.history = 'since_join' AND v_message.seq <= v_member.joined_seq)
                THEN
                    -- As the first answer was: nothing of what happened since is shown to a sender who
                    -- cannot read the message in the room.
                    v_message.content := p_contents[ordinal];
                    v_message.deleted_at := NULL;
                END IF;
                IF outcome = 'muted' THEN
                    until := v_member.muted_until;
                ELSIF outcome <> 'rate_limited' THEN
                    retry_after := NULL;
                END IF;
            END IF;
        END IF;

        IF outcome = 'sent' THEN
            v_room.last_seq := v_message.seq;
            -- A clock can go back; the room's time and place do not.
            v_room.bumped_at := greatest(v_room.bumped_at, v_now);
            v_room.bump_id := v_message.id;
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
    ELSIF current_setting('besedka.notify', true) = 'lone' THEN
        -- Nothing was written but the locks. If their commit waited for the disk, the time of the answer
        -- would tell a stranger that there is a private room. In a transaction of the host's there may be
        -- more.
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
END $$;

-- Sends messages without a limit, as `send_messages_v2` does: for a host's own transactions. Who sends is
-- held to the room: a muted member is refused here too, and slow mode is a limit.
CREATE OR REPLACE FUNCTION chat.send_messages(
    p_room_ids bigint[], p_user_ids text[], p_client_ids text[], p_contents text[],
    p_wait boolean DEFAULT true
) RETURNS TABLE (
    ordinal int, outcome text, message_id bigint, message_seq bigint, message json
) LANGUAGE sql AS $$
    SELECT s.ordinal, s.outcome, s.message_id, s.message_seq, s.message
    FROM chat.send_messages_v2(
        p_room_ids, p_user_ids, p_client_ids, p_contents, NULL, NULL, NULL, p_wait, NULL) AS s
$$;

-- The same for the release before, which knows no other outcomes: where a mute, an archive, a block or a
-- ban refuses a message, it answers 429. Nothing was stored, and a client that repeats the request after a
-- minute gets the reason from this release.
CREATE OR REPLACE FUNCTION chat.send_limited_messages(
    p_room_ids bigint[], p_user_ids text[], p_client_ids text[], p_contents text[],
    p_are_limited boolean[], p_sends_per_user text, p_sends_per_room text, p_wait boolean
) RETURNS TABLE (
    ordinal int, outcome text, message_id bigint, message_seq bigint, message json,
    retry_after float8
) LANGUAGE sql AS $$
    SELECT s.ordinal, CASE WHEN refusal.is_new THEN 'rate_limited' ELSE s.outcome END,
           s.message_id, s.message_seq, s.message,
           CASE WHEN refusal.is_new THEN 60 ELSE s.retry_after END
    FROM chat.send_messages_v2(
        p_room_ids, p_user_ids, p_client_ids, p_contents, p_are_limited,
        p_sends_per_user, p_sends_per_room, p_wait, NULL) AS s
    CROSS JOIN LATERAL (SELECT s.outcome NOT IN (
        'sent', 'duplicate', 'conflict', 'not_member', 'rate_limited', 'busy', 'invalid'
    )) AS refusal (is_new)
$$;

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
      AND r.deleted_at IS NULL
    FOR NO KEY UPDATE;
    UPDATE chat_message m
    SET content = '', deleted_at = clock_timestamp(),
        digest = chat.content_digest(m.id, m.content)
    WHERE m.id = p_message_id AND m.room_id = v_room.id AND m.deleted_at IS NULL
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
