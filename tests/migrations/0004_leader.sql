-- Sample rows for the lead and for requests.
INSERT INTO dirsync_leader (id, epoch, holder, since) VALUES
  (1, 3, 'nexus-dirsync-0:1', '2024-01-02T03:04:05.678901Z');
INSERT INTO dirsync_requests (mode, trigger, requested_by, requested_at, taken_at, run_id) VALUES
  ('delta', 'signal', 'nexus-dirsync-1:1', '2024-01-02T03:04:05.678901Z', '2024-01-02T03:04:06.678901Z', '00000000-0000-7000-8000-000000000001'),
  ('full', 'command', 'laptop:4711', '2024-01-02T03:04:07.678901Z', NULL, NULL);
