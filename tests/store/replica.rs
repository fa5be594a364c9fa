//! The daemon's rows once more, in memory: what applying a plan must leave in the tables.

use std::collections::{BTreeMap, BTreeSet};

use nexus_dirsync::directory::ObjectId;
use nexus_dirsync::reconcile::plan::{Change, Plan};
use nexus_dirsync::reconcile::world::{GroupRow, ProductRow, State, UserRow};

use crate::prelude::World;

/// Rows by table, each as a line that begins with its key.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Replica {
    users: BTreeMap<ObjectId, String>,
    groups: BTreeMap<ObjectId, String>,
    memberships: BTreeSet<String>,
    products: BTreeMap<String, String>,
    links: BTreeSet<String>,
    members: BTreeMap<String, String>,
}

impl Replica {
    /// Does what the plan says, and insists that each row was what the plan took it for.
    pub(crate) fn apply(&mut self, plan: &Plan) {
        for change in &plan.users {
            turn(&mut self.users, change, |row| row.identity.is_some().then(|| user(row)));
        }
        for change in &plan.groups {
            turn(&mut self.groups, change, |row| row.state.is_some().then(|| group(row)));
        }
        self.purge(plan);
        for change in &plan.products {
            turn(&mut self.products, change, |row| row.ours.then(|| product(row)));
        }
        for change in &plan.memberships {
            set(&mut self.memberships, format!("{}|{}", change.group, change.user), change.made);
        }
        for change in &plan.links {
            set(&mut self.links, format!("{}|{}", change.product, change.group), change.made);
        }
        for change in &plan.members {
            let key = format!("{}|{}", change.key.0, change.key.1);
            let (before, after) = (change.before, change.after);
            let change = Change { key, before, after, evidence: None };
            turn(&mut self.members, &change, |role| Some(role.label().to_owned()));
        }
    }

    /// What goes for good takes along what the registry gave it; the plan does not list
    /// those rows a second time.
    fn purge(&mut self, plan: &Plan) {
        for change in plan.groups.iter().filter(|change| change.after.is_none()) {
            let of_group = format!("|{}", change.key);
            self.links.retain(|link| !link.ends_with(&of_group));
        }
        for change in plan.users.iter().filter(|change| change.after.is_none()) {
            let of_user = format!("|{}", change.key);
            self.members.retain(|member, _| !member.ends_with(&of_user));
        }
    }

    /// The same, as the tables have it.
    pub(crate) fn of(world: &World) -> Self {
        let rows = |columns: &str, from: &str| -> BTreeMap<String, String> {
            let lines = world.lines(columns, from);
            lines
                .iter()
                .map(|line| {
                    line.split_once('|').map(|(key, row)| (key.to_owned(), row.to_owned())).unwrap()
                })
                .collect()
        };
        let by_id = |rows: BTreeMap<String, String>| {
            rows.into_iter().map(|(id, row)| (id.parse().unwrap(), row)).collect()
        };
        let set = |columns: &str, from: &str| world.lines(columns, from).into_iter().collect();
        Self {
            users: by_id(rows(
                "i.object_id, u.email, u.name, u.role, i.state, CASE WHEN i.guest THEN 'guest' ELSE 'member' END,
                 coalesce(i.claimed_email, '-'), CASE WHEN i.admin_granted THEN 'given' ELSE 'own' END,
                 CASE WHEN i.removed_at IS NULL THEN 'here' ELSE 'gone' END",
                "dirsync_user_identities i JOIN users u ON u.id = i.user_id",
            )),
            groups: by_id(rows(
                "d.object_id, g.display_name, d.state, CASE WHEN d.removed_at IS NULL THEN 'here' ELSE 'gone' END",
                "dirsync_aad_groups d JOIN aad_groups g ON g.id = d.aad_group_id",
            )),
            memberships: set(
                "d.object_id, i.object_id",
                "dirsync_group_members m JOIN dirsync_aad_groups d ON d.aad_group_id = m.aad_group_id
                   JOIN dirsync_user_identities i ON i.user_id = m.user_id",
            ),
            products: rows(
                "p.name, coalesce(p.description, '-')",
                "products p JOIN dirsync_registry_products r ON r.product_id = p.id",
            ),
            links: set(
                "p.name, d.object_id",
                "dirsync_registry_links l JOIN products p ON p.id = l.product_id
                   JOIN dirsync_aad_groups d ON d.aad_group_id = l.aad_group_id",
            ),
            members: world
                .lines(
                    "p.name, i.object_id, m.role",
                    "dirsync_registry_members r JOIN product_members m ON m.user_id = r.user_id AND m.product_id = r.product_id
                       JOIN products p ON p.id = r.product_id JOIN dirsync_user_identities i ON i.user_id = r.user_id",
                )
                .iter()
                .map(|line| line.rsplit_once('|').map(|(key, role)| (key.to_owned(), role.to_owned())).unwrap())
                .collect(),
        }
    }
}

/// Rows that are not the daemon's yet have no line.
fn turn<K: Ord + Clone + std::fmt::Debug, V>(
    rows: &mut BTreeMap<K, String>,
    change: &Change<K, V>,
    line: impl Fn(&V) -> Option<String>,
) {
    let before = change.before.as_ref().and_then(&line);
    assert_eq!(
        rows.get(&change.key),
        before.as_ref(),
        "{:?}: not the row planned upon",
        change.key
    );
    match change.after.as_ref().and_then(&line) {
        Some(after) => rows.insert(change.key.clone(), after),
        None => rows.remove(&change.key),
    };
}

fn set(rows: &mut BTreeSet<String>, row: String, made: bool) {
    let told = format!("{row}: made {made} twice");
    let is_new = if made { rows.insert(row) } else { rows.remove(&row) };
    assert!(is_new, "{told}");
}

fn user(row: &UserRow) -> String {
    let identity = row.identity.as_ref().unwrap();
    [
        row.email.as_str(),
        &row.name,
        row.role.label(),
        identity.state.label(),
        if identity.guest { "guest" } else { "member" },
        identity.claimed_email.as_deref().unwrap_or("-"),
        if identity.admin_granted { "given" } else { "own" },
        since(identity.removed_at.is_some()),
    ]
    .join("|")
}

fn group(row: &GroupRow) -> String {
    let state = row.state.unwrap_or(State::Live).label();
    [row.display_name.as_str(), state, since(row.removed_at.is_some())].join("|")
}

fn product(row: &ProductRow) -> String {
    row.description.clone().unwrap_or_else(|| "-".to_owned())
}

const fn since(gone: bool) -> &'static str {
    if gone { "gone" } else { "here" }
}
