-- Open plans are forgotten, not released: the version before meets the same differences
-- in its next full run, and holds them again.
CREATE TABLE dirsync_held (
  kind      text NOT NULL CHECK (kind IN ('user', 'group')),
  object_id uuid NOT NULL,
  since     timestamptz NOT NULL,
  PRIMARY KEY (kind, object_id)
);
ALTER TABLE dirsync_cursors DROP COLUMN access_pairs;
DROP TABLE dirsync_removals;
DROP TABLE dirsync_plan_items;
DROP TABLE dirsync_plans;
