-- The client's model as another service might have made it: no AUTOINCREMENT, no
-- checks, SQLite's own form of time, columns in another order.
CREATE TABLE products (
  id INTEGER PRIMARY KEY, description TEXT, name VARCHAR(200) NOT NULL UNIQUE,
  updated_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE resources (
  id INTEGER PRIMARY KEY, name VARCHAR NOT NULL, type VARCHAR NOT NULL, product_id INTEGER NOT NULL REFERENCES products (id),
  status VARCHAR NOT NULL, config JSON, created_at DATETIME DEFAULT CURRENT_TIMESTAMP, updated_at DATETIME DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE environments (id INTEGER PRIMARY KEY, name VARCHAR NOT NULL, type VARCHAR NOT NULL, created_at DATETIME);
CREATE TABLE users (
  id INTEGER PRIMARY KEY, role VARCHAR NOT NULL DEFAULT 'user', name VARCHAR NOT NULL, email VARCHAR NOT NULL UNIQUE,
  created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, updated_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE resource_deployments (
  resource_id INTEGER REFERENCES resources (id), environment_id INTEGER REFERENCES environments (id), version VARCHAR,
  status VARCHAR, deployed_at DATETIME, deployed_by INTEGER REFERENCES users (id), PRIMARY KEY (resource_id, environment_id)
);
CREATE TABLE aad_groups (
  id INTEGER PRIMARY KEY, external_id VARCHAR NOT NULL UNIQUE, display_name VARCHAR NOT NULL,
  created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, updated_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE product_aad_groups (
  aad_group_id INTEGER NOT NULL REFERENCES aad_groups (id), product_id INTEGER NOT NULL REFERENCES products (id),
  created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (product_id, aad_group_id)
);
CREATE TABLE product_members (
  user_id INTEGER NOT NULL REFERENCES users (id), product_id INTEGER NOT NULL REFERENCES products (id),
  role VARCHAR NOT NULL DEFAULT 'member', joined_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (user_id, product_id)
);
CREATE TABLE audit_logs (
  id INTEGER PRIMARY KEY, actor_user_id INTEGER REFERENCES users (id), actor_type VARCHAR NOT NULL, entity_type VARCHAR NOT NULL,
  entity_id INTEGER NOT NULL, action VARCHAR NOT NULL, before JSON, after JSON, metadata JSON,
  created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
);
