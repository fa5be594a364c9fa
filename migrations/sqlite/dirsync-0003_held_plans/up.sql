-- What the guard holds, as plans that people answer, and what was taken away lately.

-- A plan never changes: `header` and the documents of its items are the text that
-- `hash` was taken of. What people say about it stands beside it.
CREATE TABLE dirsync_plans (
  hash               TEXT PRIMARY KEY,
  run_id             TEXT NOT NULL,
  created_at         TEXT NOT NULL,
  header             TEXT NOT NULL,
  status             TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'rejected', 'cleared')),
  decided_at         TEXT,
  decided_by         TEXT,
  decided_by_user_id INTEGER,
  -- Why the glass was broken: there was no admin to approve.
  break_glass        TEXT,
  -- Why it was rejected.
  reason             TEXT,
  -- Since when no item of it is open.
  closed_at          TEXT
);
CREATE INDEX dirsync_plans_open_idx ON dirsync_plans (created_at) WHERE closed_at IS NULL;

CREATE TABLE dirsync_plan_items (
  plan_hash TEXT NOT NULL REFERENCES dirsync_plans (hash) ON DELETE CASCADE,
  number    INTEGER NOT NULL,
  document  TEXT NOT NULL,
  status    TEXT NOT NULL
    CHECK (status IN ('held', 'approved', 'left_over', 'rejected', 'applied', 'gone', 'changed', 'moved')),
  PRIMARY KEY (plan_hash, number)
);
-- Open items: every run meets them again; time never releases them.
CREATE INDEX dirsync_plan_items_open_idx ON dirsync_plan_items (plan_hash, number)
  WHERE status IN ('held', 'approved', 'left_over', 'rejected');

-- What each run took away without a person's word, for the limits over a window.
CREATE TABLE dirsync_removals (
  run_id      TEXT PRIMARY KEY,
  removed_at  TEXT NOT NULL,
  users       INTEGER NOT NULL,
  groups      INTEGER NOT NULL,
  memberships INTEGER NOT NULL,
  access      INTEGER NOT NULL,
  -- People who lost each product, by name.
  products    TEXT NOT NULL CHECK (json_valid(products))
);
CREATE INDEX dirsync_removals_removed_at_idx ON dirsync_removals (removed_at);

-- (user, product) pairs with access, carried on like the other totals; null until counted.
ALTER TABLE dirsync_cursors ADD COLUMN access_pairs INTEGER;

-- Held objects are those of open items now. What an earlier version held is met again
-- by the next full run.
DROP TABLE dirsync_held;
