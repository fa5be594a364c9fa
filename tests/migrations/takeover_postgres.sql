-- The client's model as another service might have made it: other names for the enum
-- types, plain text for one of them, ids with a sequence of their own, with one that
-- no column owns, or without any; times without zone, columns in another order.
CREATE TYPE kind_of_resource AS ENUM ('storage', 'database', 'mcp_server', 'agent', 'application');
CREATE TYPE platform_role AS ENUM ('user', 'admin');
CREATE TYPE member_role AS ENUM ('member', 'admin', 'owner');
CREATE TYPE what_happened AS ENUM ('create', 'update', 'delete', 'deploy', 'undeploy', 'link', 'unlink', 'status_change');

CREATE SEQUENCE product_numbers START 100;
CREATE TABLE products (
  id integer PRIMARY KEY DEFAULT nextval('product_numbers'),
  description text,
  name varchar(200) NOT NULL UNIQUE,
  updated_at timestamp NOT NULL DEFAULT now(),
  created_at timestamp NOT NULL DEFAULT now()
);
CREATE TABLE resources (
  id serial PRIMARY KEY,
  name varchar NOT NULL,
  type kind_of_resource NOT NULL,
  product_id integer NOT NULL REFERENCES products (id),
  status text NOT NULL,
  config jsonb,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE environments (id serial PRIMARY KEY, name varchar NOT NULL, type varchar NOT NULL, created_at timestamptz);
CREATE TABLE users (
  id integer PRIMARY KEY,
  role platform_role NOT NULL DEFAULT 'user',
  name varchar NOT NULL,
  email varchar NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE resource_deployments (
  resource_id integer REFERENCES resources (id),
  environment_id integer REFERENCES environments (id),
  version varchar, status varchar, deployed_at timestamptz, deployed_by integer REFERENCES users (id),
  PRIMARY KEY (resource_id, environment_id)
);
CREATE TABLE aad_groups (
  id serial PRIMARY KEY,
  external_id varchar NOT NULL UNIQUE,
  display_name varchar NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE product_aad_groups (
  aad_group_id integer NOT NULL REFERENCES aad_groups (id),
  product_id integer NOT NULL REFERENCES products (id),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (product_id, aad_group_id)
);
CREATE TABLE product_members (
  user_id integer NOT NULL REFERENCES users (id),
  product_id integer NOT NULL REFERENCES products (id),
  role member_role NOT NULL DEFAULT 'member',
  joined_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, product_id)
);
CREATE TABLE audit_logs (
  id bigint PRIMARY KEY,
  actor_user_id integer REFERENCES users (id),
  actor_type varchar NOT NULL,
  entity_type varchar NOT NULL,
  entity_id integer NOT NULL,
  action what_happened NOT NULL,
  before jsonb, after jsonb, metadata jsonb,
  created_at timestamptz NOT NULL DEFAULT now()
);
