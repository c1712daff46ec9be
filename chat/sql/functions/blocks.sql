-- Blocks: a user wants nothing to do with another one. Between the two no direct room is opened, and nothing is
-- sent in the one that they have. Elsewhere the blocker's client marks the messages by its own list.

-- Takes the locks under which a block between two users is written: of both users, as opening a direct room
-- takes them; and then of their direct room, if they have one, as each send takes it: nothing is sent in it
-- once the block is committed.
CREATE OR REPLACE FUNCTION chat.lock_block(p_user_id text, p_other_id text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM chat.lock_user(item.id)
    FROM (SELECT u.id FROM unnest(ARRAY[p_user_id, p_other_id]) AS u (id)
          ORDER BY u.id COLLATE "C") AS item;
    -- Whoever holds the lock of a direct room waits for no lock of a user, so this is no circle.
    PERFORM FROM chat_room r
    WHERE r.direct_key = chat.direct_key_of(ARRAY[p_user_id, p_other_id])
    FOR NO KEY UPDATE;
END $$;

-- Blocks a user; repeating it changes nothing. The blocker's devices receive `blocks_updated`, and the other
-- user receives nothing. One row: `blocked` or `already`, with the time of the block; `self`; `invalid_user`; or
-- `limit_reached` for a user who blocks p_limit users.
CREATE OR REPLACE FUNCTION chat.block_user(p_user_id text, p_blocked_id text, p_limit int)
RETURNS TABLE (outcome text, created_at timestamptz) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM chat.require_read_committed();
    outcome := CASE WHEN NOT (chat.is_user_id(p_user_id) AND chat.is_user_id(p_blocked_id))
                    THEN 'invalid_user'
                    WHEN p_user_id = p_blocked_id THEN 'self' END;
    IF outcome IS NOT NULL THEN
        RETURN NEXT;
        RETURN;
    END IF;
    PERFORM chat.lock_block(p_user_id, p_blocked_id);
    SELECT 'already', b.created_at INTO outcome, created_at FROM chat_block b
    WHERE b.user_id = p_user_id AND b.blocked_id = p_blocked_id;
    IF outcome IS NULL THEN
        PERFORM FROM chat_block b WHERE b.user_id = p_user_id OFFSET p_limit - 1 LIMIT 1;
        outcome := CASE WHEN FOUND THEN 'limit_reached' ELSE 'blocked' END;
    END IF;
    IF outcome = 'blocked' THEN
        created_at := clock_timestamp();
        INSERT INTO chat_block (user_id, blocked_id, created_at)
        VALUES (p_user_id, p_blocked_id, created_at);
        PERFORM chat.publish_to_user(p_user_id, 'blocks_updated', json_build_object(
            'user', p_blocked_id, 'is_blocked', true));
    END IF;
    RETURN NEXT;
END $$;

-- Ends a block; repeating it changes nothing. One row: `unblocked` or `not_blocked`.
CREATE OR REPLACE FUNCTION chat.unblock_user(p_user_id text, p_blocked_id text)
RETURNS TABLE (outcome text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM chat.require_read_committed();
    PERFORM chat.lock_block(p_user_id, p_blocked_id);
    DELETE FROM chat_block b WHERE b.user_id = p_user_id AND b.blocked_id = p_blocked_id;
    outcome := CASE WHEN FOUND THEN 'unblocked' ELSE 'not_blocked' END;
    IF FOUND THEN
        PERFORM chat.publish_to_user(p_user_id, 'blocks_updated', json_build_object(
            'user', p_blocked_id, 'is_blocked', false));
    END IF;
    RETURN NEXT;
END $$;
