-- The client's data model for the embedded database: the same names, enum values as
-- checked text, jsonb as checked text, times as ISO 8601 text in UTC.
--
-- AUTOINCREMENT everywhere: an id that the audit names is never given out again.
-- json_valid(NULL) is 0 up to SQLite 3.40, which other services may well link: a check
-- by it must let NULL pass by itself.

CREATE TABLE IF NOT EXISTS products (
  id          INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  name        TEXT NOT NULL UNIQUE,
  description TEXT,
  created_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);

CREATE TABLE IF NOT EXISTS resources (
  id         INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  name       TEXT NOT NULL,
  type       TEXT NOT NULL CHECK (type IN ('application', 'agent', 'mcp_server', 'database', 'storage')),
  product_id INTEGER NOT NULL REFERENCES products (id),
  status     TEXT NOT NULL CHECK (status IN ('active', 'inactive', 'provisioning')),
  config     TEXT CHECK (config IS NULL OR json_valid(config)),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);

CREATE TABLE IF NOT EXISTS environments (
  id         INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  name       TEXT NOT NULL,
  type       TEXT NOT NULL CHECK (type IN ('development', 'staging', 'production')),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);

CREATE TABLE IF NOT EXISTS users (
  id         INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  email      TEXT NOT NULL UNIQUE,
  name       TEXT NOT NULL,
  role       TEXT NOT NULL DEFAULT 'user' CHECK (role IN ('admin', 'user')),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);

CREATE TABLE IF NOT EXISTS resource_deployments (
  resource_id    INTEGER NOT NULL REFERENCES resources (id),
  environment_id INTEGER NOT NULL REFERENCES environments (id),
  version        TEXT NOT NULL,
  status         TEXT NOT NULL CHECK (status IN ('deployed', 'pending', 'failed')),
  deployed_at    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  deployed_by    INTEGER NOT NULL REFERENCES users (id),
  PRIMARY KEY (resource_id, environment_id)
);

CREATE TABLE IF NOT EXISTS aad_groups (
  id           INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  external_id  TEXT NOT NULL UNIQUE,
  display_name TEXT NOT NULL,
  created_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);

CREATE TABLE IF NOT EXISTS product_aad_groups (
  product_id   INTEGER NOT NULL REFERENCES products (id),
  aad_group_id INTEGER NOT NULL REFERENCES aad_groups (id),
  created_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  PRIMARY KEY (product_id, aad_group_id)
);

CREATE TABLE IF NOT EXISTS product_members (
  user_id    INTEGER NOT NULL REFERENCES users (id),
  product_id INTEGER NOT NULL REFERENCES products (id),
  role       TEXT NOT NULL DEFAULT 'member' CHECK (role IN ('admin', 'member')),
  joined_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  PRIMARY KEY (user_id, product_id)
);

CREATE TABLE IF NOT EXISTS audit_logs (
  id            INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  actor_user_id INTEGER REFERENCES users (id),
  actor_type    TEXT NOT NULL CHECK (actor_type IN ('user', 'system', 'service')),
  entity_type   TEXT NOT NULL CHECK (entity_type IN ('user', 'product', 'aad_group', 'product_aad_group',
                  'product_member', 'resource', 'environment', 'resource_deployment')),
  entity_id     INTEGER NOT NULL,
  action        TEXT NOT NULL CHECK (action IN ('create', 'update', 'delete', 'deploy', 'undeploy', 'link',
                  'unlink', 'status_change')),
  before        TEXT CHECK (before IS NULL OR json_valid(before)),
  after         TEXT CHECK (after IS NULL OR json_valid(after)),
  metadata      TEXT CHECK (metadata IS NULL OR json_valid(metadata)),
  created_at    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);

CREATE INDEX IF NOT EXISTS resources_product_id_idx ON resources (product_id);
CREATE INDEX IF NOT EXISTS resource_deployments_environment_id_idx ON resource_deployments (environment_id);
CREATE INDEX IF NOT EXISTS resource_deployments_deployed_by_idx ON resource_deployments (deployed_by);
CREATE INDEX IF NOT EXISTS users_email_folded_idx ON users (lower(email));
CREATE INDEX IF NOT EXISTS aad_groups_external_id_folded_idx ON aad_groups (lower(external_id));
CREATE INDEX IF NOT EXISTS product_aad_groups_aad_group_id_idx ON product_aad_groups (aad_group_id);
CREATE INDEX IF NOT EXISTS product_members_product_id_idx ON product_members (product_id);
CREATE INDEX IF NOT EXISTS audit_logs_entity_idx ON audit_logs (entity_type, entity_id);
CREATE INDEX IF NOT EXISTS audit_logs_created_at_idx ON audit_logs (created_at);
CREATE INDEX IF NOT EXISTS audit_logs_actor_user_id_idx ON audit_logs (actor_user_id) WHERE actor_user_id IS NOT NULL;

-- `updated_at` is kept true whoever writes: a writer that sets it itself is believed,
-- any other change of a row moves it.
CREATE TRIGGER IF NOT EXISTS products_touch_updated_at AFTER UPDATE OF name, description ON products
WHEN OLD.updated_at = NEW.updated_at AND (OLD.name IS NOT NEW.name OR OLD.description IS NOT NEW.description) BEGIN
  UPDATE products SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;
CREATE TRIGGER IF NOT EXISTS resources_touch_updated_at AFTER UPDATE OF name, type, product_id, status, config ON resources
WHEN OLD.updated_at = NEW.updated_at AND (OLD.name IS NOT NEW.name OR OLD.type IS NOT NEW.type OR OLD.product_id IS NOT NEW.product_id OR OLD.status IS NOT NEW.status OR OLD.config IS NOT NEW.config) BEGIN
  UPDATE resources SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;
CREATE TRIGGER IF NOT EXISTS users_touch_updated_at AFTER UPDATE OF email, name, role ON users
WHEN OLD.updated_at = NEW.updated_at AND (OLD.email IS NOT NEW.email OR OLD.name IS NOT NEW.name OR OLD.role IS NOT NEW.role) BEGIN
  UPDATE users SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;
CREATE TRIGGER IF NOT EXISTS aad_groups_touch_updated_at AFTER UPDATE OF external_id, display_name ON aad_groups
WHEN OLD.updated_at = NEW.updated_at AND (OLD.external_id IS NOT NEW.external_id OR OLD.display_name IS NOT NEW.display_name) BEGIN
  UPDATE aad_groups SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id;
END;
