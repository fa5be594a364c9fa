-- Sample rows for the daemon's own tables, beside those of 0001.
INSERT INTO dirsync_observed_users (object_id, display_name, upn, mail, enabled, guest, presence, evidence) VALUES
  ('00000000-0000-4000-8000-0000000000a1', 'Ada', 'ada@contoso.example', NULL, TRUE, FALSE, 'present', NULL),
  ('00000000-0000-4000-8000-0000000000a2', NULL, NULL, NULL, NULL, FALSE, 'gone', 'delta_tombstone');
INSERT INTO dirsync_observed_groups (object_id, display_name, hidden_membership, presence, members) VALUES
  ('b0c1d2e3-0000-4000-8000-000000000001', 'A group', FALSE, 'present', 'complete');
INSERT INTO dirsync_observed_edges (group_id, member_id, is_group) VALUES
  ('b0c1d2e3-0000-4000-8000-000000000001', '00000000-0000-4000-8000-0000000000a1', FALSE);
INSERT INTO dirsync_user_identities (user_id, object_id, state, guest, name_key, claimed_email, admin_granted, removed_at) VALUES
  (1, '00000000-0000-4000-8000-0000000000a1', 'live', FALSE, 'ada by hand', NULL, FALSE, NULL);
INSERT INTO dirsync_aad_groups (aad_group_id, object_id, state) VALUES
  (1, 'b0c1d2e3-0000-4000-8000-000000000001', 'live');
INSERT INTO dirsync_group_members (aad_group_id, user_id) VALUES (1, 1);
INSERT INTO dirsync_cursors (id, generation, tenant_id, endpoint, fingerprint, users_link, groups_link, live_users, live_groups, memberships, updated_at) VALUES
  (1, 7, 'a tenant', 'https://graph.example', 'v1', 'https://graph.example/u', 'https://graph.example/g', 1, 1, 1, '2024-01-02T03:04:05.678901Z');
INSERT INTO dirsync_runs (id, mode, trigger, outcome, started_at, finished_at, report) VALUES
  ('00000000-0000-7000-8000-000000000001', 'delta', 'schedule', 'held', '2024-01-02T03:04:05.678901Z', '2024-01-02T03:04:06.678901Z', '{}');
INSERT INTO dirsync_held (kind, object_id, since) VALUES
  ('user', '00000000-0000-4000-8000-0000000000a1', '2024-01-02T03:04:05.678901Z');
INSERT INTO dirsync_findings (kind, subject, message, first_seen_at, last_seen_at, resolved_at) VALUES
  ('removals_held', 'guard', 'three', '2024-01-02T03:04:05.678901Z', '2024-01-02T03:04:05.678901Z', NULL);
INSERT INTO dirsync_registry_products (product_id) VALUES (1);
INSERT INTO dirsync_registry_links (product_id, aad_group_id) VALUES (1, 1);
INSERT INTO dirsync_registry_members (user_id, product_id) VALUES (3, 1);
INSERT INTO dirsync_registry_bindings (kind, name, object_id, bound_at) VALUES
  ('group', 'a group', 'b0c1d2e3-0000-4000-8000-000000000001', '2024-01-02T03:04:05.678901Z');
