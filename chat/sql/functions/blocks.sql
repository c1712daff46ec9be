-- Blocks: a user wants nothing to do with another one. Between the two no direct room is opened, and nothing is
-- sent in the one that they have. Elsewhere the blocker's client marks the messages by its own list.

-- Whether one of two users blocks the other.
CREATE OR REPLACE FUNCTION chat.is_block_between(p_user_id text, p_other_id text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM chat_block b
                   WHERE b.user_id = p_user_id AND b.blocked_id = p_other_id)
        OR EXISTS (SELECT FROM chat_block b
                   WHERE b.user_id = p_other_id AND b.blocked_id = p_user_id)
$$;
