-- Least-privilege roles of nexus-dirsync on PostgreSQL.
--
--   nexus_dirsync_owner   runs `nexus-dirsync migrate`, and nothing else
--   nexus_dirsync         runs the daemon and every other command
--
-- How to use it, as a superuser or as the owner of the database (with CREATEROLE):
--
--   1. psql -d nexus -v ON_ERROR_STOP=1 -f docs/database-roles.sql
--      psql -d nexus -c '\password nexus_dirsync_owner' -c '\password nexus_dirsync'
--   2. DIRSYNC__DATABASE__URL=postgres://nexus_dirsync_owner:…@host/nexus?… nexus-dirsync migrate
--   3. psql -d nexus -v ON_ERROR_STOP=1 -f docs/database-roles.sql
--   4. run the daemon as postgres://nexus_dirsync:…@host/nexus?…
--
-- It may be run any number of times and brings everything back to what it says. Later
-- migrations need no third time: what they make is granted by the default privileges
-- below. After `migrate --revert` to nothing, begin at 1 again.
--
-- Where other services made tables of the model before (`users`, `products` …), the
-- migration adds indexes and a trigger to them, which PostgreSQL lets only their owner
-- do. Uncomment this and name that owner, for the time of the migrations:
--
--   GRANT platform TO nexus_dirsync_owner;
--
-- Everything is for the schema `public`; the daemon takes tables by their bare names,
-- so for another schema say so here and set the search_path of both roles. Several
-- installations may have a schema each in one database: each has a lead of its own.
--
-- What PUBLIC may do every role may. So the file takes from PUBLIC what nobody should have
-- here: rows of audit_logs and changes to them, tables in the schema `public`, temporary tables. Another
-- service that makes tables of its own is granted it by name:
--
--   GRANT CREATE ON SCHEMA public TO platform;
--   GRANT TEMPORARY ON DATABASE nexus TO platform;
--
-- It ends with an error where the daemon's role may still change the audit or make tables,
-- such as through a role that it is a member of; and where the daemon's tables were made by
-- another role than nexus_dirsync_owner, which could not migrate them: hand them over, or
-- make it a member of that role.
--
-- What the daemon's role cannot do, and tests/daemon/roles.rs holds it: change or delete
-- a row of audit_logs, empty a table, make or alter anything, number rows anew, touch
-- resources, environments or deployments, delete a product, or write a column of the
-- model that is not the daemon's.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'nexus_dirsync_owner') THEN
    CREATE ROLE nexus_dirsync_owner LOGIN;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'nexus_dirsync') THEN
    CREATE ROLE nexus_dirsync LOGIN;
  END IF;
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO nexus_dirsync_owner, nexus_dirsync', current_database());
END
$$;

GRANT USAGE, CREATE ON SCHEMA public TO nexus_dirsync_owner;
REVOKE ALL ON SCHEMA public FROM nexus_dirsync;
GRANT USAGE ON SCHEMA public TO nexus_dirsync;

DO $$
DECLARE
  wanted text[] := ARRAY['CREATE ON SCHEMA public', format('TEMPORARY ON DATABASE %I', current_database())];
  each   text;
BEGIN
  IF to_regclass('public.audit_logs') IS NOT NULL THEN
    wanted := wanted || 'INSERT, UPDATE, DELETE, TRUNCATE ON TABLE public.audit_logs'::text;
  END IF;
  FOREACH each IN ARRAY wanted LOOP
    BEGIN
      EXECUTE format('REVOKE %s FROM PUBLIC', each);
    EXCEPTION WHEN insufficient_privilege THEN
      RAISE NOTICE 'not yours to revoke from PUBLIC: %', each;
    END;
  END LOOP;
END
$$;

DO $$
DECLARE
  made name;
  own  text;
BEGIN
  IF to_regclass('public.dirsync_cursors') IS NULL THEN
    -- What was granted for later tables before a revert would fall on the audit.
    IF EXISTS (SELECT FROM pg_default_acl WHERE defaclrole = 'nexus_dirsync_owner'::regrole) THEN
      ALTER DEFAULT PRIVILEGES FOR ROLE nexus_dirsync_owner IN SCHEMA public REVOKE ALL ON TABLES FROM nexus_dirsync;
      ALTER DEFAULT PRIVILEGES FOR ROLE nexus_dirsync_owner IN SCHEMA public REVOKE ALL ON SEQUENCES FROM nexus_dirsync;
    END IF;
    RAISE NOTICE 'the roles are made; run nexus-dirsync migrate as nexus_dirsync_owner, then this again';
    RETURN;
  END IF;

  -- From nothing, so that what was granted by hand or by an older file is over. First
  -- the model's tables, whoever owns them.
  FOREACH made IN ARRAY ARRAY['users', 'aad_groups', 'products', 'product_aad_groups', 'product_members',
                              'resources', 'environments', 'resource_deployments', 'audit_logs'] LOOP
    EXECUTE format('REVOKE ALL ON TABLE public.%I FROM nexus_dirsync', made);
  END LOOP;

  -- The audit: add and read. No UPDATE, no DELETE, no TRUNCATE, and no number of one's own.
  GRANT SELECT ON public.audit_logs TO nexus_dirsync;
  GRANT INSERT (actor_user_id, actor_type, entity_type, entity_id, action, before, after, metadata, created_at)
    ON public.audit_logs TO nexus_dirsync;

  -- People and groups come, change and are purged after the retention.
  GRANT SELECT, INSERT, DELETE ON public.users, public.aad_groups TO nexus_dirsync;
  GRANT UPDATE (email, name, role, updated_at) ON public.users TO nexus_dirsync;
  GRANT UPDATE (display_name, updated_at) ON public.aad_groups TO nexus_dirsync;

  -- The registry's part. A product is never deleted.
  GRANT SELECT, INSERT ON public.products TO nexus_dirsync;
  GRANT UPDATE (description, updated_at) ON public.products TO nexus_dirsync;
  GRANT SELECT, INSERT, DELETE ON public.product_aad_groups, public.product_members TO nexus_dirsync;
  GRANT UPDATE (role) ON public.product_members TO nexus_dirsync;

  -- Of the other services' tables only whether somebody deployed: such a person is
  -- never purged.
  GRANT SELECT (deployed_by) ON public.resource_deployments TO nexus_dirsync;

  -- Numbers for new rows: USAGE gives the next one, and sets none back.
  FOREACH made IN ARRAY ARRAY['users', 'aad_groups', 'products', 'audit_logs'] LOOP
    own := pg_get_serial_sequence(format('public.%I', made), 'id');
    IF own IS NOT NULL THEN
      EXECUTE format('REVOKE ALL ON SEQUENCE %s FROM nexus_dirsync', own);
      EXECUTE format('GRANT USAGE ON SEQUENCE %s TO nexus_dirsync', own);
    END IF;
  END LOOP;

  -- The daemon's own tables: rows only. Waiting for other runs (LOCK TABLE … IN EXCLUSIVE
  -- MODE) needs no more than UPDATE.
  FOR own IN
    SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND starts_with(c.relname, 'dirsync_')
  LOOP
    EXECUTE format('REVOKE ALL ON TABLE %s FROM nexus_dirsync', own);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE %s TO nexus_dirsync', own);
  END LOOP;
  GRANT SELECT ON public.product_access, public.__diesel_schema_migrations TO nexus_dirsync;

  -- The same for own tables that later migrations make. Set only now that the audit
  -- exists, so that it never falls under them.
  ALTER DEFAULT PRIVILEGES FOR ROLE nexus_dirsync_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO nexus_dirsync;
  ALTER DEFAULT PRIVILEGES FOR ROLE nexus_dirsync_owner IN SCHEMA public
    GRANT USAGE ON SEQUENCES TO nexus_dirsync;
END
$$;

DO $$
DECLARE
  makers text;
BEGIN
  IF to_regclass('public.audit_logs') IS NOT NULL AND (
    has_any_column_privilege('nexus_dirsync', 'public.audit_logs', 'UPDATE')
    OR has_table_privilege('nexus_dirsync', 'public.audit_logs', 'DELETE, TRUNCATE')
    OR has_column_privilege('nexus_dirsync', 'public.audit_logs', 'id', 'INSERT')
  ) THEN
    RAISE EXCEPTION 'nexus_dirsync may still change audit_logs, or number its rows: revoke that from PUBLIC as the owner of the table, or from the roles that nexus_dirsync is a member of, then run this again';
  END IF;
  SELECT string_agg(DISTINCT quote_ident(r.rolname), ', ') INTO makers
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
   WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v')
     AND (starts_with(c.relname, 'dirsync_') OR c.relname IN ('product_access', '__diesel_schema_migrations'))
     AND NOT pg_has_role('nexus_dirsync_owner', c.relowner, 'USAGE');
  IF makers IS NOT NULL THEN
    RAISE EXCEPTION 'tables of the daemon belong to %, so that nexus_dirsync_owner could not migrate them: GRANT % TO nexus_dirsync_owner, then run this again', makers, makers;
  END IF;
  IF has_schema_privilege('nexus_dirsync', 'public', 'CREATE') THEN
    RAISE EXCEPTION 'nexus_dirsync may still make tables in public: revoke CREATE from PUBLIC as the owner of the schema, or from the roles that nexus_dirsync is a member of, then run this again';
  END IF;
  IF has_database_privilege('nexus_dirsync', current_database(), 'TEMPORARY') THEN
    RAISE WARNING 'nexus_dirsync may still make temporary tables: revoke TEMPORARY from PUBLIC as the owner of the database';
  END IF;
END
$$;
