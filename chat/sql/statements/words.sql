-- name: put_word
-- Puts a word on the list; see functions/words.sql.
SELECT outcome
FROM chat.put_word(
    %(by)s::json, %(word)s::text, %(skeleton)s::text, %(action)s::text, %(most)s::int);

-- name: delete_word
-- Takes a word off the list; see functions/words.sql.
SELECT outcome FROM chat.delete_word(%(by)s::json, %(skeleton)s::text);

-- name: report_words
-- Reports a message for the words in it; see functions/words.sql.
SELECT outcome FROM chat.report_words(%(message_id)s, %(words)s::text);

-- name: find_word
-- One word of the list.
SELECT w.word, w.action FROM chat_word w WHERE w.skeleton = %(skeleton)s::text;

-- name: list_words
-- The whole list, which has a bound.
SELECT w.word, w.action FROM chat_word w ORDER BY w.skeleton;

-- name: find_sent
-- Whether a user is a member of a room, and the message that the user sent there with a key: nulls where
-- there is none.
SELECT EXISTS (SELECT FROM chat_member o WHERE o.room_id = %(room_id)s
               AND o.user_id = %(user_id)s::text) AS is_member,
       CASE WHEN m.id IS NOT NULL THEN chat.message_body(m) END::text AS message
FROM (SELECT) AS one LEFT JOIN chat_message m
    ON m.room_id = %(room_id)s AND m.user_id = %(user_id)s::text
   AND m.client_id = %(client_id)s::text;
