-- Sample rows for held plans, beside those of 0002.
INSERT INTO dirsync_plans (hash, run_id, created_at, header, status, decided_at, decided_by, decided_by_user_id, break_glass, reason, closed_at) VALUES
  ('aa', '00000000-0000-7000-8000-000000000001', '2024-01-02T03:04:05.678901Z', '{}', 'pending', NULL, NULL, NULL, NULL, NULL, NULL),
  ('bb', '00000000-0000-7000-8000-000000000001', '2024-01-02T03:04:05.678901Z', '{}', 'rejected', '2024-01-02T03:04:05.678901Z', 'ada@contoso.example', 1, NULL, 'no', NULL);
INSERT INTO dirsync_plan_items (plan_hash, number, document, status) VALUES
  ('aa', 1, '{}', 'held'),
  ('bb', 1, '{}', 'rejected');
INSERT INTO dirsync_removals (run_id, removed_at, users, groups, memberships, access, products) VALUES
  ('00000000-0000-7000-8000-000000000001', '2024-01-02T03:04:05.678901Z', 1, 0, 2, 2, '{"apim": 2}');
