-- What a position in the change log is good for: of which history it is, and from where on entries are kept.

CREATE TABLE bar_log (
    log_id     smallint PRIMARY KEY CHECK (log_id = 1),
    generation uuid NOT NULL DEFAULT gen_random_uuid(),
    oldest_seq bigint NOT NULL DEFAULT 1 CHECK (oldest_seq >= 1)
);
COMMENT ON COLUMN bar_log.generation IS
    'Of this history; another one after a restore of files, from which the log goes on with other entries.';
COMMENT ON COLUMN bar_log.oldest_seq IS
    'Entries from here on are there, all of them; bar_write keeps the rows of those that were trimmed.';
INSERT INTO bar_log (log_id) VALUES (1);
