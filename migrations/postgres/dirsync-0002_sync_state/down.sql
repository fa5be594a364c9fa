-- What was observed can be read again from Graph; the audit stays. Which rows are the
-- daemon's is known here alone, so `migrate --revert` refuses while there are any.
DROP VIEW product_access;
DROP TABLE dirsync_registry_bindings, dirsync_registry_members, dirsync_registry_links, dirsync_registry_products;
DROP TABLE dirsync_findings, dirsync_held, dirsync_runs, dirsync_cursors;
DROP TABLE dirsync_group_members, dirsync_aad_groups, dirsync_user_identities;
DROP TABLE dirsync_observed_edges, dirsync_observed_groups, dirsync_observed_users;
