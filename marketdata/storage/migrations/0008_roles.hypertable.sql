-- Who may do what. The role that migrates owns everything here; the service's own role owns nothing and
-- reads and writes rows. The role itself belongs to the server, so it is made before (storage/roles.py).

DO $$
DECLARE
    relation record;
BEGIN
    FOR relation IN
        SELECT class.oid::regclass AS name,
               CASE WHEN class.relkind = 'S' THEN 'USAGE' ELSE 'SELECT, INSERT, UPDATE, DELETE' END AS rights,
               CASE WHEN class.relkind = 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind
          FROM pg_class AS class JOIN pg_roles AS owner ON owner.oid = class.relowner
         WHERE class.relnamespace = 'public'::regnamespace AND class.relkind IN ('r', 'p', 'v', 'S')
           AND owner.rolname = current_user
           AND NOT EXISTS (SELECT FROM pg_depend AS member
                            WHERE member.classid = 'pg_class'::regclass AND member.objid = class.oid
                              AND member.deptype = 'e')
    LOOP
        EXECUTE format('GRANT %s ON %s %s TO market_data_service_user',
                       relation.rights, relation.kind, relation.name);
    END LOOP;
END
$$;
-- What was applied is the migrator's to say.
REVOKE INSERT, UPDATE, DELETE ON schema_migration FROM market_data_service_user;

-- The tables of later migrations.
ALTER DEFAULT PRIVILEGES IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO market_data_service_user;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO market_data_service_user;

-- A chunk is dropped by its owner only. This function decides itself which one, from what an operator
-- confirmed, and so may be run with the owner's rights.
ALTER FUNCTION bar_partition_drop_oldest(bar_table) SECURITY DEFINER;

-- What it calls changes rows that the service may change as well: it keeps the rights of its caller.
REVOKE EXECUTE ON FUNCTION bar_partition_drop_oldest(bar_table) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION bar_retention_record(bar_table, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bar_partition_drop_oldest(bar_table) TO market_data_service_user;
GRANT EXECUTE ON FUNCTION bar_retention_record(bar_table, timestamptz) TO market_data_service_user;
