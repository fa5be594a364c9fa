-- The daemon's own tables.
--
-- Observed (dirsync_observed_*): what Graph said. Moves with the cursor, whatever the
-- guard decides. Decided (dirsync_user_identities, dirsync_aad_groups,
-- dirsync_group_members): what the platform shall see. Changes only through plan,
-- guard and apply, with one audit row each.

CREATE TABLE dirsync_observed_users (
  object_id    TEXT PRIMARY KEY,
  display_name TEXT,
  upn          TEXT,
  mail         TEXT,
  enabled      BOOLEAN,
  guest        BOOLEAN NOT NULL,
  presence     TEXT NOT NULL CHECK (presence IN ('present', 'soft_deleted', 'gone')),
  evidence     TEXT
);

CREATE TABLE dirsync_observed_groups (
  object_id         TEXT PRIMARY KEY,
  display_name      TEXT,
  hidden_membership BOOLEAN NOT NULL,
  presence          TEXT NOT NULL CHECK (presence IN ('present', 'soft_deleted', 'gone')),
  evidence          TEXT,
  -- 'never' until the member list was read to its end once; 'stale' while a read fails.
  members           TEXT NOT NULL CHECK (members IN ('never', 'complete', 'stale')),
  stale_since       TEXT
);
CREATE INDEX dirsync_observed_groups_unread_idx ON dirsync_observed_groups (object_id) WHERE members <> 'complete';

-- Direct membership. An edge may name an object that has not been seen yet.
CREATE TABLE dirsync_observed_edges (
  group_id  TEXT NOT NULL,
  member_id TEXT NOT NULL,
  is_group  BOOLEAN NOT NULL,
  PRIMARY KEY (group_id, member_id)
);
CREATE INDEX dirsync_observed_edges_member_idx ON dirsync_observed_edges (member_id);

CREATE TABLE dirsync_user_identities (
  user_id       INTEGER PRIMARY KEY REFERENCES users (id),
  object_id     TEXT NOT NULL UNIQUE,
  state         TEXT NOT NULL CHECK (state IN ('live', 'disabled', 'removed')),
  guest         BOOLEAN NOT NULL,
  -- The name without case and accents, by which registry owners are found.
  name_key      TEXT NOT NULL,
  -- The address this user would have, were it free.
  claimed_email TEXT,
  -- Whether the role `admin` was given by the daemon, which alone may take it back.
  admin_granted BOOLEAN NOT NULL,
  removed_at    TEXT
);
CREATE INDEX dirsync_user_identities_name_key_idx ON dirsync_user_identities (name_key);
CREATE INDEX dirsync_user_identities_claimed_email_idx ON dirsync_user_identities (lower(claimed_email))
  WHERE claimed_email IS NOT NULL;
CREATE INDEX dirsync_user_identities_removed_at_idx ON dirsync_user_identities (removed_at)
  WHERE removed_at IS NOT NULL;

CREATE TABLE dirsync_aad_groups (
  aad_group_id INTEGER PRIMARY KEY REFERENCES aad_groups (id),
  object_id    TEXT NOT NULL UNIQUE,
  state        TEXT NOT NULL CHECK (state IN ('live', 'removed')),
  removed_at   TEXT
);
CREATE INDEX dirsync_aad_groups_removed_at_idx ON dirsync_aad_groups (removed_at) WHERE removed_at IS NOT NULL;

-- Effective members: users reached over nested groups, cycles included.
CREATE TABLE dirsync_group_members (
  aad_group_id INTEGER NOT NULL REFERENCES dirsync_aad_groups (aad_group_id),
  user_id      INTEGER NOT NULL REFERENCES dirsync_user_identities (user_id),
  PRIMARY KEY (aad_group_id, user_id)
);
CREATE INDEX dirsync_group_members_user_id_idx ON dirsync_group_members (user_id);

-- One row: where the next run starts. `generation` counts commits, so that a run
-- which started from an older one is recognised and rolled back.
CREATE TABLE dirsync_cursors (
  id          INTEGER PRIMARY KEY CHECK (id = 1),
  generation  INTEGER NOT NULL,
  tenant_id   TEXT NOT NULL,
  endpoint    TEXT NOT NULL,
  -- What was asked for: another query or scope needs a new first read.
  fingerprint TEXT NOT NULL,
  users_link  TEXT NOT NULL,
  groups_link TEXT NOT NULL,
  -- What the platform sees, counted by full runs and carried on by the others: counting
  -- reads whole tables.
  live_users  INTEGER NOT NULL,
  live_groups INTEGER NOT NULL,
  memberships INTEGER NOT NULL,
  updated_at  TEXT NOT NULL
);

CREATE TABLE dirsync_runs (
  id          TEXT PRIMARY KEY,
  mode        TEXT NOT NULL CHECK (mode IN ('full', 'delta')),
  trigger     TEXT NOT NULL,
  outcome     TEXT NOT NULL CHECK (outcome IN ('applied', 'unchanged', 'held', 'superseded', 'interrupted', 'failed')),
  started_at  TEXT NOT NULL,
  finished_at TEXT NOT NULL,
  -- Counts only: no names, no addresses.
  report      TEXT NOT NULL CHECK (json_valid(report))
);
CREATE INDEX dirsync_runs_finished_at_idx ON dirsync_runs (finished_at);

-- Objects whose observed and decided state still differ because the guard withheld
-- the difference. Every run meets them again; time never releases them.
CREATE TABLE dirsync_held (
  kind      TEXT NOT NULL CHECK (kind IN ('user', 'group')),
  object_id TEXT NOT NULL,
  since     TEXT NOT NULL,
  PRIMARY KEY (kind, object_id)
);

CREATE TABLE dirsync_findings (
  kind          TEXT NOT NULL,
  subject       TEXT NOT NULL,
  message       TEXT NOT NULL,
  first_seen_at TEXT NOT NULL,
  last_seen_at  TEXT NOT NULL,
  resolved_at   TEXT,
  PRIMARY KEY (kind, subject)
);

-- What the registry made: only that may it take away again.
CREATE TABLE dirsync_registry_products (
  product_id INTEGER PRIMARY KEY REFERENCES products (id)
);
CREATE TABLE dirsync_registry_links (
  product_id   INTEGER NOT NULL,
  aad_group_id INTEGER NOT NULL,
  PRIMARY KEY (product_id, aad_group_id),
  FOREIGN KEY (product_id, aad_group_id) REFERENCES product_aad_groups (product_id, aad_group_id) ON DELETE CASCADE
);
CREATE TABLE dirsync_registry_members (
  user_id    INTEGER NOT NULL,
  product_id INTEGER NOT NULL,
  PRIMARY KEY (user_id, product_id),
  FOREIGN KEY (user_id, product_id) REFERENCES product_members (user_id, product_id) ON DELETE CASCADE
);
-- A registry name is resolved once and bound to an object id.
CREATE TABLE dirsync_registry_bindings (
  kind      TEXT NOT NULL CHECK (kind IN ('group', 'owner')),
  name      TEXT NOT NULL,
  object_id TEXT NOT NULL,
  bound_at  TEXT NOT NULL,
  PRIMARY KEY (kind, name)
);

-- Who has access to what, one row a path. Follows links and memberships at once.
-- Only live users count; users without an Azure AD identity count as live; a group
-- that is removed, or was never read, gives nothing.
CREATE VIEW product_access AS
  SELECT link.product_id, member.user_id, 'member' AS role, 'aad_group' AS source, link.aad_group_id
    FROM product_aad_groups link
    JOIN dirsync_aad_groups grp ON grp.aad_group_id = link.aad_group_id AND grp.state = 'live'
    JOIN dirsync_group_members member ON member.aad_group_id = link.aad_group_id
    JOIN dirsync_user_identities identity ON identity.user_id = member.user_id AND identity.state = 'live'
  UNION ALL
  SELECT member.product_id, member.user_id, member.role, 'product_member', NULL
    FROM product_members member
    LEFT JOIN dirsync_user_identities identity ON identity.user_id = member.user_id
   WHERE identity.user_id IS NULL OR identity.state = 'live';
