-- A target names several providers, in the order in which they are asked.

ALTER TABLE ingestion_target ADD COLUMN providers text[];
UPDATE ingestion_target SET providers = ARRAY[provider];
ALTER TABLE ingestion_target
    ALTER COLUMN providers SET NOT NULL,
    ADD CHECK (cardinality(providers) BETWEEN 1 AND 5),
    DROP COLUMN provider;
COMMENT ON COLUMN ingestion_target.providers IS
    'Their names, in the order in which they are asked; they need not be ready yet.';
