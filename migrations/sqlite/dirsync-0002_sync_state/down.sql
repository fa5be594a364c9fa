-- What was observed can be read again from Graph; the audit stays. Which rows are the
-- daemon's is known here alone, so `migrate --revert` refuses while there are any.
DROP VIEW product_access;
DROP TABLE dirsync_registry_bindings;
DROP TABLE dirsync_registry_members;
DROP TABLE dirsync_registry_links;
DROP TABLE dirsync_registry_products;
DROP TABLE dirsync_findings;
DROP TABLE dirsync_held;
DROP TABLE dirsync_runs;
DROP TABLE dirsync_cursors;
DROP TABLE dirsync_group_members;
DROP TABLE dirsync_aad_groups;
DROP TABLE dirsync_user_identities;
DROP TABLE dirsync_observed_edges;
DROP TABLE dirsync_observed_groups;
DROP TABLE dirsync_observed_users;
