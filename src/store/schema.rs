//! The tables, once for both databases. Columns that the daemon never names are left out.

diesel::table! {
    use diesel::sql_types::{Integer, Text};
    use crate::store::types::{LabelSql, TimeSql};
    users (id) { id -> Integer, email -> Text, name -> Text, role -> LabelSql, created_at -> TimeSql, updated_at -> TimeSql, }
}
diesel::table! {
    use diesel::sql_types::{Integer, Text};
    use crate::store::types::TimeSql;
    aad_groups (id) { id -> Integer, external_id -> Text, display_name -> Text, created_at -> TimeSql, updated_at -> TimeSql, }
}
diesel::table! {
    use diesel::sql_types::{Integer, Nullable, Text};
    use crate::store::types::TimeSql;
    products (id) { id -> Integer, name -> Text, description -> Nullable<Text>, created_at -> TimeSql, updated_at -> TimeSql, }
}
diesel::table! {
    use diesel::sql_types::Integer;
    use crate::store::types::TimeSql;
    product_aad_groups (product_id, aad_group_id) { product_id -> Integer, aad_group_id -> Integer, created_at -> TimeSql, }
}
diesel::table! {
    use diesel::sql_types::Integer;
    use crate::store::types::{LabelSql, TimeSql};
    product_members (user_id, product_id) { user_id -> Integer, product_id -> Integer, role -> LabelSql, joined_at -> TimeSql, }
}
diesel::table! {
    use diesel::sql_types::Integer;
    resource_deployments (resource_id, environment_id) { resource_id -> Integer, environment_id -> Integer, deployed_by -> Integer, }
}
diesel::table! {
    use diesel::sql_types::{BigInt, Integer, Nullable};
    use crate::store::types::{JsonSql, LabelSql, TimeSql};
    audit_logs (id) {
        id -> BigInt, actor_user_id -> Nullable<Integer>, actor_type -> LabelSql, entity_type -> LabelSql,
        entity_id -> Integer, action -> LabelSql, before -> Nullable<JsonSql>, after -> Nullable<JsonSql>,
        metadata -> Nullable<JsonSql>, created_at -> TimeSql,
    }
}
diesel::table! {
    use diesel::sql_types::{Integer, Nullable, Text};
    product_access (product_id, user_id) { product_id -> Integer, user_id -> Integer, role -> Text, source -> Text, aad_group_id -> Nullable<Integer>, }
}

diesel::table! {
    use diesel::sql_types::{Bool, Nullable, Text};
    use crate::store::types::IdSql;
    dirsync_observed_users (object_id) {
        object_id -> IdSql, display_name -> Nullable<Text>, upn -> Nullable<Text>, mail -> Nullable<Text>,
        enabled -> Nullable<Bool>, guest -> Bool, presence -> Text, evidence -> Nullable<Text>,
    }
}
diesel::table! {
    use diesel::sql_types::{Bool, Nullable, Text};
    use crate::store::types::{IdSql, TimeSql};
    dirsync_observed_groups (object_id) {
        object_id -> IdSql, display_name -> Nullable<Text>, hidden_membership -> Bool, presence -> Text,
        evidence -> Nullable<Text>, members -> Text, stale_since -> Nullable<TimeSql>,
    }
}
diesel::table! {
    use diesel::sql_types::Bool;
    use crate::store::types::IdSql;
    dirsync_observed_edges (group_id, member_id) { group_id -> IdSql, member_id -> IdSql, is_group -> Bool, }
}
diesel::table! {
    use diesel::sql_types::{Bool, Integer, Nullable, Text};
    use crate::store::types::{IdSql, TimeSql};
    dirsync_user_identities (user_id) {
        user_id -> Integer, object_id -> IdSql, state -> Text, guest -> Bool, name_key -> Text,
        claimed_email -> Nullable<Text>, admin_granted -> Bool, removed_at -> Nullable<TimeSql>,
    }
}
diesel::table! {
    use diesel::sql_types::{Integer, Nullable, Text};
    use crate::store::types::{IdSql, TimeSql};
    dirsync_aad_groups (aad_group_id) { aad_group_id -> Integer, object_id -> IdSql, state -> Text, removed_at -> Nullable<TimeSql>, }
}
diesel::table! {
    use diesel::sql_types::Integer;
    dirsync_group_members (aad_group_id, user_id) { aad_group_id -> Integer, user_id -> Integer, }
}
diesel::table! {
    use diesel::sql_types::{BigInt, Integer, Nullable, Text};
    use crate::store::types::TimeSql;
    dirsync_cursors (id) {
        id -> Integer, generation -> BigInt, tenant_id -> Text, endpoint -> Text, fingerprint -> Text,
        users_link -> Text, groups_link -> Text, live_users -> BigInt, live_groups -> BigInt, memberships -> BigInt,
        updated_at -> TimeSql, access_pairs -> Nullable<BigInt>,
    }
}
diesel::table! {
    use diesel::sql_types::Text;
    use crate::store::types::{IdSql, JsonSql, TimeSql};
    dirsync_runs (id) {
        id -> IdSql, mode -> Text, trigger -> Text, outcome -> Text, started_at -> TimeSql, finished_at -> TimeSql,
        report -> JsonSql,
    }
}
diesel::table! {
    use diesel::sql_types::{Integer, Nullable, Text};
    use crate::store::types::{IdSql, TimeSql};
    dirsync_plans (hash) {
        hash -> Text, run_id -> IdSql, created_at -> TimeSql, header -> Text, status -> Text,
        decided_at -> Nullable<TimeSql>, decided_by -> Nullable<Text>, decided_by_user_id -> Nullable<Integer>,
        break_glass -> Nullable<Text>, reason -> Nullable<Text>, closed_at -> Nullable<TimeSql>,
    }
}
diesel::table! {
    use diesel::sql_types::{Integer, Text};
    dirsync_plan_items (plan_hash, number) { plan_hash -> Text, number -> Integer, document -> Text, status -> Text, }
}
diesel::joinable!(dirsync_plan_items -> dirsync_plans (plan_hash));
diesel::table! {
    use diesel::sql_types::BigInt;
    use crate::store::types::{IdSql, JsonSql, TimeSql};
    dirsync_removals (run_id) {
        run_id -> IdSql, removed_at -> TimeSql, users -> BigInt, groups -> BigInt, memberships -> BigInt,
        access -> BigInt, products -> JsonSql,
    }
}
diesel::table! {
    use diesel::sql_types::{Nullable, Text};
    use crate::store::types::TimeSql;
    dirsync_findings (kind, subject) {
        kind -> Text, subject -> Text, message -> Text, first_seen_at -> TimeSql, last_seen_at -> TimeSql,
        resolved_at -> Nullable<TimeSql>,
    }
}
diesel::table! {
    dirsync_registry_products (product_id) { product_id -> Integer, }
}
diesel::table! {
    dirsync_registry_links (product_id, aad_group_id) { product_id -> Integer, aad_group_id -> Integer, }
}
diesel::table! {
    dirsync_registry_members (user_id, product_id) { user_id -> Integer, product_id -> Integer, }
}
diesel::table! {
    use diesel::sql_types::Text;
    use crate::store::types::{IdSql, TimeSql};
    dirsync_registry_bindings (kind, name) { kind -> Text, name -> Text, object_id -> IdSql, bound_at -> TimeSql, }
}

diesel::allow_tables_to_appear_in_same_query!(
    users,
    aad_groups,
    products,
    product_aad_groups,
    product_members,
    resource_deployments,
    audit_logs,
    product_access,
    dirsync_user_identities,
    dirsync_aad_groups,
    dirsync_group_members,
    dirsync_observed_users,
    dirsync_observed_groups,
    dirsync_observed_edges,
    dirsync_registry_products,
    dirsync_registry_links,
    dirsync_registry_members,
    dirsync_registry_bindings,
    dirsync_plans,
    dirsync_plan_items,
);
