-- The key that resume tokens are signed with, where no setting says one. Replicas share it, and it outlives
-- restarts. It keeps clients from resuming where they never were; it guards no secret.

CREATE TABLE token_key (
    token_key_id smallint PRIMARY KEY CHECK (token_key_id = 1),
    key          bytea NOT NULL CHECK (octet_length(key) = 32)
);
COMMENT ON COLUMN token_key.key IS 'Two random uuids: 244 bits from the server''s strong source.';
INSERT INTO token_key (token_key_id, key)
VALUES (1, uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
-- Nobody renews it by accident: every subscription would begin anew.
REVOKE INSERT, UPDATE, DELETE ON token_key FROM market_data_service_user;
