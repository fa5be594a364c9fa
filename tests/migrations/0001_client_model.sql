-- Sample rows for the client's nine tables, for both databases: ids as people gave
-- them, so a sequence has not followed.
INSERT INTO products (id, name, description, created_at, updated_at) VALUES
  (1, 'sample', 'A product', '2024-01-02T03:04:05.678Z', '2024-01-02T03:04:05.678Z'),
  (2, 'bare', NULL, '2024-01-02T03:04:05.678Z', '2024-01-02T03:04:05.678Z');
INSERT INTO resources (id, name, type, product_id, status, config, created_at, updated_at) VALUES
  (1, 'api', 'application', 1, 'active', '{"replicas": 2}', '2024-01-02T03:04:05.678Z', '2024-01-02T03:04:05.678Z'),
  (2, 'assistant', 'mcp_server', 1, 'provisioning', NULL, '2024-01-02T03:04:05.678Z', '2024-01-02T03:04:05.678Z');
INSERT INTO environments (id, name, type, created_at) VALUES
  (1, 'west', 'production', '2024-01-02T03:04:05.678Z');
INSERT INTO users (id, email, name, role, created_at, updated_at) VALUES
  (1, 'Ada@contoso.example', 'Ada by hand', 'user', '2024-01-02T03:04:05.678Z', '2024-01-02T03:04:05.678Z'),
  (2, 'deployer@contoso.example', 'Deployer', 'admin', '2024-01-02T03:04:05.678Z', '2024-01-02T03:04:05.678Z'),
  (3, 'robot@contoso.example', 'Robot', 'user', '2024-01-02T03:04:05.678Z', '2024-01-02T03:04:05.678Z');
INSERT INTO resource_deployments (resource_id, environment_id, version, status, deployed_at, deployed_by) VALUES
  (1, 1, '1.2.3', 'deployed', '2024-01-02T03:04:05.678Z', 2);
INSERT INTO aad_groups (id, external_id, display_name, created_at, updated_at) VALUES
  (1, 'B0C1D2E3-0000-4000-8000-000000000001', 'A group elsewhere', '2024-01-02T03:04:05.678Z', '2024-01-02T03:04:05.678Z'),
  (2, 'no object id', 'A row of another service', '2024-01-02T03:04:05.678Z', '2024-01-02T03:04:05.678Z');
INSERT INTO product_aad_groups (product_id, aad_group_id, created_at) VALUES
  (1, 1, '2024-01-02T03:04:05.678Z'), (2, 2, '2024-01-02T03:04:05.678Z');
INSERT INTO product_members (user_id, product_id, role, joined_at) VALUES
  (3, 1, 'member', '2024-01-02T03:04:05.678Z');
INSERT INTO audit_logs (id, actor_user_id, actor_type, entity_type, entity_id, action, before, after, metadata, created_at) VALUES
  (1, 2, 'user', 'resource_deployment', 1, 'deploy', NULL, '{"version": "1.2.3"}', NULL, '2024-01-02T03:04:05.678Z'),
  (2, NULL, 'service', 'product', 1, 'create', NULL, NULL, '{"writer": "portal"}', '2024-01-02T03:04:05.678Z');
