-- Takes the client's tables away only while they are empty: their rows are history.
CREATE TEMP TABLE dirsync_down (held INTEGER CONSTRAINT client_tables_must_be_empty CHECK (held = 0));
INSERT INTO dirsync_down
  SELECT (SELECT count(*) FROM audit_logs) + (SELECT count(*) FROM product_members)
       + (SELECT count(*) FROM product_aad_groups) + (SELECT count(*) FROM aad_groups)
       + (SELECT count(*) FROM resource_deployments) + (SELECT count(*) FROM users)
       + (SELECT count(*) FROM environments) + (SELECT count(*) FROM resources)
       + (SELECT count(*) FROM products);
DROP TABLE dirsync_down;

DROP TABLE audit_logs;
DROP TABLE product_members;
DROP TABLE product_aad_groups;
DROP TABLE aad_groups;
DROP TABLE resource_deployments;
DROP TABLE users;
DROP TABLE environments;
DROP TABLE resources;
DROP TABLE products;
