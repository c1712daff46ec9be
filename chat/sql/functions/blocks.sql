-- Blocks between users.

-- Whether one of two users blocks the other.
CREATE OR REPLACE FUNCTION chat.blocks(p_user_id text, p_other_id text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM chat_block b
        WHERE (b.user_id = p_user_id AND b.blocked_id = p_other_id)
           OR (b.user_id = p_other_id AND b.blocked_id = p_user_id))
$$;
