-- Takes the client's tables away only while they are empty: they belong to the whole
-- platform, and their rows are history.
DO $$
DECLARE
  held text;
  filled boolean;
BEGIN
  FOREACH held IN ARRAY ARRAY['audit_logs', 'product_members', 'product_aad_groups', 'aad_groups',
                              'resource_deployments', 'users', 'environments', 'resources', 'products'] LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %I)', held) INTO filled;
    IF filled THEN
      RAISE EXCEPTION 'table "%" holds rows, so the client model stays', held
        USING HINT = 'Back up and empty the nine tables first, if you really mean to drop them.';
    END IF;
  END LOOP;
END
$$;

DROP TABLE audit_logs;
DROP TABLE product_members;
DROP TABLE product_aad_groups;
DROP TABLE aad_groups;
DROP TABLE resource_deployments;
DROP TABLE users;
DROP TABLE environments;
DROP TABLE resources;
DROP TABLE products;
DROP FUNCTION dirsync_touch_updated_at();
DROP TYPE IF EXISTS audit_action, audit_entity_type, audit_actor_type, product_role, user_role,
  deployment_status, environment_type, resource_status, resource_type;
