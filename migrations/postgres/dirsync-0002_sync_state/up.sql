-- The daemon's own tables.
--
-- Observed (dirsync_observed_*): what Graph said. Moves with the cursor, whatever the
-- guard decides. Decided (dirsync_user_identities, dirsync_aad_groups,
-- dirsync_group_members): what the platform shall see. Changes only through plan,
-- guard and apply, with one audit row each.

CREATE TABLE dirsync_observed_users (
  object_id    uuid PRIMARY KEY,
  display_name text,
  upn          text,
  mail         text,
  enabled      boolean,
  guest        boolean NOT NULL,
  presence     text NOT NULL CHECK (presence IN ('present', 'soft_deleted', 'gone')),
  evidence     text
);

CREATE TABLE dirsync_observed_groups (
  object_id         uuid PRIMARY KEY,
  display_name      text,
  hidden_membership boolean NOT NULL,
  presence          text NOT NULL CHECK (presence IN ('present', 'soft_deleted', 'gone')),
  evidence          text,
  -- 'never' until the member list was read to its end once; 'stale' while a read fails.
  members           text NOT NULL CHECK (members IN ('never', 'complete', 'stale')),
  stale_since       timestamptz
);
CREATE INDEX dirsync_observed_groups_unread_idx ON dirsync_observed_groups (object_id) WHERE members <> 'complete';

-- Direct membership. An edge may name an object that has not been seen yet.
CREATE TABLE dirsync_observed_edges (
  group_id  uuid NOT NULL,
  member_id uuid NOT NULL,
  is_group  boolean NOT NULL,
  PRIMARY KEY (group_id, member_id)
);
CREATE INDEX dirsync_observed_edges_member_idx ON dirsync_observed_edges (member_id);

CREATE TABLE dirsync_user_identities (
  user_id       integer PRIMARY KEY REFERENCES users (id),
  object_id     uuid NOT NULL UNIQUE,
  state         text NOT NULL CHECK (state IN ('live', 'disabled', 'removed')),
  guest         boolean NOT NULL,
  -- The name without case and accents, by which registry owners are found.
  name_key      text NOT NULL,
  -- The address this user would have, were it free.
  claimed_email text,
  -- Whether the role `admin` was given by the daemon, which alone may take it back.
  admin_granted boolean NOT NULL,
  removed_at    timestamptz
);
CREATE INDEX dirsync_user_identities_name_key_idx ON dirsync_user_identities (name_key);
CREATE INDEX dirsync_user_identities_claimed_email_idx ON dirsync_user_identities (lower(claimed_email))
  WHERE claimed_email IS NOT NULL;
CREATE INDEX dirsync_user_identities_removed_at_idx ON dirsync_user_identities (removed_at)
  WHERE removed_at IS NOT NULL;

CREATE TABLE dirsync_aad_groups (
  aad_group_id integer PRIMARY KEY REFERENCES aad_groups (id),
  object_id    uuid NOT NULL UNIQUE,
  state        text NOT NULL CHECK (state IN ('live', 'removed')),
  removed_at   timestamptz
);
CREATE INDEX dirsync_aad_groups_removed_at_idx ON dirsync_aad_groups (removed_at) WHERE removed_at IS NOT NULL;

-- Effective members: users reached over nested groups, cycles included.
CREATE TABLE dirsync_group_members (
  aad_group_id integer NOT NULL REFERENCES dirsync_aad_groups (aad_group_id),
  user_id      integer NOT NULL REFERENCES dirsync_user_identities (user_id),
  PRIMARY KEY (aad_group_id, user_id)
);
CREATE INDEX dirsync_group_members_user_id_idx ON dirsync_group_members (user_id);

-- One row: where the next run starts. `generation` counts commits, so that a run
-- which started from an older one is recognised and rolled back.
CREATE TABLE dirsync_cursors (
  id          integer PRIMARY KEY CHECK (id = 1),
  generation  bigint NOT NULL,
  tenant_id   text NOT NULL,
  endpoint    text NOT NULL,
  -- What was asked for: another query or scope needs a new first read.
  fingerprint text NOT NULL,
  users_link  text NOT NULL,
  groups_link text NOT NULL,
  -- What the platform sees, counted by full runs and carried on by the others: counting
  -- reads whole tables.
  live_users  bigint NOT NULL,
  live_groups bigint NOT NULL,
  memberships bigint NOT NULL,
  updated_at  timestamptz NOT NULL
);

CREATE TABLE dirsync_runs (
  id          uuid PRIMARY KEY,
  mode        text NOT NULL CHECK (mode IN ('full', 'delta')),
  trigger     text NOT NULL,
  outcome     text NOT NULL CHECK (outcome IN ('applied', 'unchanged', 'held', 'superseded', 'interrupted', 'failed')),
  started_at  timestamptz NOT NULL,
  finished_at timestamptz NOT NULL,
  -- Counts only: no names, no addresses.
  report      jsonb NOT NULL
);
CREATE INDEX dirsync_runs_finished_at_idx ON dirsync_runs (finished_at);

-- Objects whose observed and decided state still differ because the guard withheld
-- the difference. Every run meets them again; time never releases them.
CREATE TABLE dirsync_held (
  kind      text NOT NULL CHECK (kind IN ('user', 'group')),
  object_id uuid NOT NULL,
  since     timestamptz NOT NULL,
  PRIMARY KEY (kind, object_id)
);

CREATE TABLE dirsync_findings (
  kind          text NOT NULL,
  subject       text NOT NULL,
  message       text NOT NULL,
  first_seen_at timestamptz NOT NULL,
  last_seen_at  timestamptz NOT NULL,
  resolved_at   timestamptz,
  PRIMARY KEY (kind, subject)
);

-- What the registry made: only that may it take away again.
CREATE TABLE dirsync_registry_products (
  product_id integer PRIMARY KEY REFERENCES products (id)
);
CREATE TABLE dirsync_registry_links (
  product_id   integer NOT NULL,
  aad_group_id integer NOT NULL,
  PRIMARY KEY (product_id, aad_group_id),
  FOREIGN KEY (product_id, aad_group_id) REFERENCES product_aad_groups (product_id, aad_group_id) ON DELETE CASCADE
);
CREATE TABLE dirsync_registry_members (
  user_id    integer NOT NULL,
  product_id integer NOT NULL,
  PRIMARY KEY (user_id, product_id),
  FOREIGN KEY (user_id, product_id) REFERENCES product_members (user_id, product_id) ON DELETE CASCADE
);
-- A registry name is resolved once and bound to an object id.
CREATE TABLE dirsync_registry_bindings (
  kind      text NOT NULL CHECK (kind IN ('group', 'owner')),
  name      text NOT NULL,
  object_id uuid NOT NULL,
  bound_at  timestamptz NOT NULL,
  PRIMARY KEY (kind, name)
);

-- Who has access to what, one row a path. Follows links and memberships at once.
-- Only live users count; users without an Azure AD identity count as live; a group
-- that is removed, or was never read, gives nothing.
CREATE VIEW product_access AS
  SELECT link.product_id, member.user_id, 'member'::text AS role, 'aad_group'::text AS source, link.aad_group_id
    FROM product_aad_groups link
    JOIN dirsync_aad_groups grp ON grp.aad_group_id = link.aad_group_id AND grp.state = 'live'
    JOIN dirsync_group_members member ON member.aad_group_id = link.aad_group_id
    JOIN dirsync_user_identities identity ON identity.user_id = member.user_id AND identity.state = 'live'
  UNION ALL
  SELECT member.product_id, member.user_id, member.role::text, 'product_member'::text, NULL::integer
    FROM product_members member
    LEFT JOIN dirsync_user_identities identity ON identity.user_id = member.user_id
   WHERE identity.user_id IS NULL OR identity.state = 'live';
