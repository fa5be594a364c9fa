//! The client's data model, written down once more: what the migrations must make.

/// What the data model says of a column.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Type {
    Integer,
    Bigint,
    Varchar,
    Text,
    Timestamp,
    Jsonb,
    Enum(&'static [&'static str]),
}

use Type::{Bigint, Enum, Integer, Jsonb, Text, Timestamp, Varchar};

pub(crate) type Columns = &'static [(&'static str, Type)];

pub(crate) const MODEL: [(&str, Columns); 9] = [
    (
        "products",
        &[
            ("id", Integer),
            ("name", Varchar),
            ("description", Text),
            ("created_at", Timestamp),
            ("updated_at", Timestamp),
        ],
    ),
    (
        "resources",
        &[
            ("id", Integer),
            ("name", Varchar),
            ("type", Enum(&["application", "agent", "mcp_server", "database", "storage"])),
            ("product_id", Integer),
            ("status", Enum(&["active", "inactive", "provisioning"])),
            ("config", Jsonb),
            ("created_at", Timestamp),
            ("updated_at", Timestamp),
        ],
    ),
    (
        "environments",
        &[
            ("id", Integer),
            ("name", Varchar),
            ("type", Enum(&["development", "staging", "production"])),
            ("created_at", Timestamp),
        ],
    ),
    (
        "resource_deployments",
        &[
            ("resource_id", Integer),
            ("environment_id", Integer),
            ("version", Varchar),
            ("status", Enum(&["deployed", "pending", "failed"])),
            ("deployed_at", Timestamp),
            ("deployed_by", Integer),
        ],
    ),
    (
        "users",
        &[
            ("id", Integer),
            ("email", Varchar),
            ("name", Varchar),
            ("role", Enum(&["admin", "user"])),
            ("created_at", Timestamp),
            ("updated_at", Timestamp),
        ],
    ),
    (
        "aad_groups",
        &[
            ("id", Integer),
            ("external_id", Varchar),
            ("display_name", Varchar),
            ("created_at", Timestamp),
            ("updated_at", Timestamp),
        ],
    ),
    (
        "product_aad_groups",
        &[("product_id", Integer), ("aad_group_id", Integer), ("created_at", Timestamp)],
    ),
    (
        "product_members",
        &[
            ("user_id", Integer),
            ("product_id", Integer),
            ("role", Enum(&["admin", "member"])),
            ("joined_at", Timestamp),
        ],
    ),
    (
        "audit_logs",
        &[
            ("id", Bigint),
            ("actor_user_id", Integer),
            ("actor_type", Enum(&["user", "system", "service"])),
            (
                "entity_type",
                Enum(&[
                    "user",
                    "product",
                    "aad_group",
                    "product_aad_group",
                    "product_member",
                    "resource",
                    "environment",
                    "resource_deployment",
                ]),
            ),
            ("entity_id", Integer),
            (
                "action",
                Enum(&[
                    "create",
                    "update",
                    "delete",
                    "deploy",
                    "undeploy",
                    "link",
                    "unlink",
                    "status_change",
                ]),
            ),
            ("before", Jsonb),
            ("after", Jsonb),
            ("metadata", Jsonb),
            ("created_at", Timestamp),
        ],
    ),
];
