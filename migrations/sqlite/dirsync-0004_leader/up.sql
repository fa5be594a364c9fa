-- Who leads, and the epoch that fences: raised with each change of the lead, and locked
-- by each commit of a leader, so that a former one cannot write.
CREATE TABLE dirsync_leader (
  id     INTEGER PRIMARY KEY CHECK (id = 1),
  epoch  BIGINT NOT NULL CHECK (epoch > 0),
  holder TEXT NOT NULL,
  since  TEXT NOT NULL
);

-- Runs that somebody asked the leader for from another process. The run that answers a
-- row marks it in its own commit, so none is lost with a leader.
CREATE TABLE dirsync_requests (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  mode         TEXT NOT NULL CHECK (mode IN ('full', 'delta')),
  trigger      TEXT NOT NULL,
  requested_by TEXT NOT NULL,
  requested_at TEXT NOT NULL,
  taken_at     TEXT,
  run_id       TEXT,
  CHECK ((taken_at IS NULL) = (run_id IS NULL))
);
CREATE INDEX dirsync_requests_pending_idx ON dirsync_requests (id) WHERE taken_at IS NULL;
