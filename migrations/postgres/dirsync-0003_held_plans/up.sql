-- What the guard holds, as plans that people answer, and what was taken away lately.

-- A plan never changes: `header` and the documents of its items are the text that
-- `hash` was taken of. What people say about it stands beside it.
CREATE TABLE dirsync_plans (
  hash               text PRIMARY KEY,
  run_id             uuid NOT NULL,
  created_at         timestamptz NOT NULL,
  header             text NOT NULL,
  status             text NOT NULL CHECK (status IN ('pending', 'approved', 'rejected', 'cleared')),
  decided_at         timestamptz,
  decided_by         text,
  decided_by_user_id integer,
  -- Why the glass was broken: there was no admin to approve.
  break_glass        text,
  -- Why it was rejected.
  reason             text,
  -- Since when no item of it is open.
  closed_at          timestamptz
);
CREATE INDEX dirsync_plans_open_idx ON dirsync_plans (created_at) WHERE closed_at IS NULL;

CREATE TABLE dirsync_plan_items (
  plan_hash text NOT NULL REFERENCES dirsync_plans (hash) ON DELETE CASCADE,
  number    integer NOT NULL,
  document  text NOT NULL,
  status    text NOT NULL
    CHECK (status IN ('held', 'approved', 'left_over', 'rejected', 'applied', 'gone', 'changed', 'moved')),
  PRIMARY KEY (plan_hash, number)
);
-- Open items: every run meets them again; time never releases them.
CREATE INDEX dirsync_plan_items_open_idx ON dirsync_plan_items (plan_hash, number)
  WHERE status IN ('held', 'approved', 'left_over', 'rejected');

-- What each run took away without a person's word, for the limits over a window.
CREATE TABLE dirsync_removals (
  run_id      uuid PRIMARY KEY,
  removed_at  timestamptz NOT NULL,
  users       bigint NOT NULL,
  groups      bigint NOT NULL,
  memberships bigint NOT NULL,
  access      bigint NOT NULL,
  -- People who lost each product, by name.
  products    jsonb NOT NULL
);
CREATE INDEX dirsync_removals_removed_at_idx ON dirsync_removals (removed_at);

-- (user, product) pairs with access, carried on like the other totals; null until counted.
ALTER TABLE dirsync_cursors ADD COLUMN access_pairs bigint;

-- Held objects are those of open items now. What an earlier version held is met again
-- by the next full run.
DROP TABLE dirsync_held;
