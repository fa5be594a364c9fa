-- Who leads, and the epoch that fences: raised with each change of the lead, and locked
-- by each commit of a leader, so that a former one cannot write.
CREATE TABLE dirsync_leader (
  id     integer PRIMARY KEY CHECK (id = 1),
  epoch  bigint NOT NULL CHECK (epoch > 0),
  holder text NOT NULL,
  since  timestamptz NOT NULL
);

-- Runs that somebody asked the leader for from another process. The run that answers a
-- row marks it in its own commit, so none is lost with a leader.
CREATE TABLE dirsync_requests (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  mode         text NOT NULL CHECK (mode IN ('full', 'delta')),
  trigger      text NOT NULL,
  requested_by text NOT NULL,
  requested_at timestamptz NOT NULL,
  taken_at     timestamptz,
  run_id       uuid,
  CHECK ((taken_at IS NULL) = (run_id IS NULL))
);
CREATE INDEX dirsync_requests_pending_idx ON dirsync_requests (id) WHERE taken_at IS NULL;
