//! What must come about once nothing goes wrong any more: the tenant's truth.

use std::collections::{BTreeMap, BTreeSet};

use nexus_dirsync::daemon::Counts;
use nexus_dirsync::directory::ObjectId;
use nexus_dirsync::store::Decided;
use uuid::Uuid;

use crate::chronicle::Moment;
use crate::life::Life;
use crate::safety::{Path, paths};
use crate::schedule::Asked;

impl Life<'_> {
    /// Within three runs database, view and audit equal the tenant; then nothing is left to do.
    pub async fn assert_recovers(&mut self) {
        self.calm().await;
        // Where Graph was honest nothing was kept from the deltas: the cursor is never
        // ahead of the data, so no full read is needed to be right again.
        let asked = if self.course.honest {
            [Asked::Delta, Asked::Delta, Asked::Full]
        } else {
            [Asked::Full, Asked::Delta, Asked::Full]
        };
        let mut differences = Vec::new();
        for asked in asked {
            let run = self.good_turn(asked).await;
            let approved = self.approve_all().await;
            differences = self.differences().await;
            let deltas_alone = self.course.honest && asked == Asked::Full;
            assert!(
                !deltas_alone || run.drift == 0,
                "a full run found what deltas missed: {run:?}"
            );
            // An approval is carried out by the next run, be the difference one that tells
            // or not: the end of a membership that gives nothing.
            if differences.is_empty() && approved == 0 {
                break;
            }
        }
        assert!(differences.is_empty(), "not the tenant's truth:\n{}", differences.join("\n"));
        for asked in [Asked::Full, Asked::Delta] {
            let run = self.good_turn(asked).await;
            assert_eq!((run.outcome.as_str(), run.drift), ("unchanged", 0), "{run:?}");
        }
        assert_eq!(self.daemon.status().await.withheld, Counts::default());
    }

    /// Everything in which the database differs from the tenant.
    async fn differences(&self) -> Vec<String> {
        let decided = self.stage.world.store.read(|tx| tx.decided()).await.unwrap();
        let mut sql = self.stage.sql();
        let seen = paths(&mut sql);
        let links: BTreeSet<(String, Uuid)> = sql
            .cells("SELECT p.name || ' ' || g.external_id AS cell FROM product_aad_groups l JOIN products p ON p.id = l.product_id JOIN aad_groups g ON g.id = l.aad_group_id")
            .iter()
            .map(|line| line.rsplit_once(' ').map(|(p, g)| (p.to_owned(), g.parse().unwrap())).unwrap())
            .collect();
        let owners = sql.cells("SELECT count(*)::text AS cell FROM dirsync_registry_members");
        let bound = sql.cells("SELECT count(*)::text AS cell FROM dirsync_registry_links");
        let mut told = Vec::new();
        compare(&mut told, "owners", "registry", Some(&"1".to_owned()), owners.first());
        compare(&mut told, "links", "registry", Some(&"4".to_owned()), bound.first());
        self.stage.world.simulator.read(|tenant| {
            let truth = Truth::of(tenant, self.course.everything, &links, &decided);
            truth.tell(&mut told, tenant, &decided);
            truth.tell_paths(&mut told, &links, &seen);
        });
        told
    }
}

/// What the tenant says of what the platform has taken in, or should have.
struct Truth {
    now: Moment,
    users: BTreeMap<Uuid, &'static str>,
    groups: BTreeMap<Uuid, &'static str>,
    /// Groups in scope.
    scope: BTreeSet<Uuid>,
    /// Newcomers without a row, because others have every address of theirs.
    crowded: BTreeSet<Uuid>,
}

impl Truth {
    fn of(
        tenant: &graph_simulator::Tenant,
        everything: bool,
        links: &BTreeSet<(String, Uuid)>,
        decided: &Decided,
    ) -> Self {
        let now = Moment::of(tenant);
        let scope = if everything {
            now.groups.clone()
        } else {
            links.iter().flat_map(|(_, group)| below(&now, *group)).collect()
        };
        let mut wanted: BTreeSet<Uuid> = decided.users.keys().map(|id| id.uuid()).collect();
        if everything {
            wanted.extend(
                tenant.users().filter(|user| !user.is_deleted()).map(graph_simulator::User::id),
            );
        }
        for group in &scope {
            // Whoever is deleted stays a member, but is taken in only if he was known.
            wanted.extend(
                tenant.effective_users(*group).into_iter().filter(|id| tenant.is_live(*id)),
            );
        }
        let crowded: BTreeSet<Uuid> = wanted
            .iter()
            .filter(|id| !decided.users.contains_key(&ObjectId::new(**id)))
            .filter(|id| is_crowded(tenant, **id))
            .copied()
            .collect();
        wanted.retain(|id| !crowded.contains(id));
        let user = |id: &Uuid| match tenant.user(*id) {
            Some(user) if !user.is_deleted() => {
                if user.account_enabled == Some(true) {
                    "live"
                } else {
                    "disabled"
                }
            }
            _ => "removed",
        };
        let group = |id: &Uuid| if now.groups.contains(id) { "live" } else { "removed" };
        let known = decided.groups.keys().map(|id| id.uuid()).chain(scope.iter().copied());
        let groups: BTreeSet<Uuid> = known.collect();
        Self {
            users: wanted.iter().map(|id| (*id, user(id))).collect(),
            groups: groups.iter().map(|id| (*id, group(id))).collect(),
            scope,
            crowded,
            now,
        }
    }

    fn tell(&self, told: &mut Vec<String>, tenant: &graph_simulator::Tenant, decided: &Decided) {
        for (id, state) in &self.users {
            let stored = decided.users.get(&ObjectId::new(*id)).map(ToString::to_string);
            compare(told, "user", id, Some(&(*state).to_owned()), stored.as_ref());
        }
        for (id, state) in &self.groups {
            let stored = decided.groups.get(&ObjectId::new(*id)).map(ToString::to_string);
            compare(told, "group", id, Some(&(*state).to_owned()), stored.as_ref());
        }
        for group in self.scope.iter().filter(|id| self.now.groups.contains(id)) {
            let stored = decided.members.get(&ObjectId::new(*group)).into_iter().flatten();
            let stored: BTreeSet<Uuid> = stored.map(|id| id.uuid()).collect();
            let people = tenant.effective_users(*group);
            // Of whoever is deleted no list tells, only rounds, and those may have been lost:
            // his memberships are read when he is back, and give him nothing until then.
            let is_there = |id: &&Uuid| self.users.contains_key(*id) && tenant.is_live(**id);
            for user in people.symmetric_difference(&stored).filter(is_there) {
                let only = if stored.contains(user) { "database" } else { "tenant" };
                told.push(format!("member {user} of {group}: only in the {only}"));
            }
        }
    }

    fn tell_paths(
        &self,
        told: &mut Vec<String>,
        links: &BTreeSet<(String, Uuid)>,
        seen: &BTreeSet<Path>,
    ) {
        let expected: BTreeSet<Path> = links
            .iter()
            .flat_map(|(product, group)| {
                let people = self.now.reached(*group);
                let people = people.into_iter().filter(|user| !self.crowded.contains(user));
                people.map(|user| (product.clone(), user, Some(*group)))
            })
            .collect();
        let over_groups: BTreeSet<Path> =
            seen.iter().filter(|(_, _, group)| group.is_some()).cloned().collect();
        for path in expected.symmetric_difference(&over_groups) {
            let only = if over_groups.contains(path) { "view" } else { "tenant" };
            told.push(format!("path {path:?}: only in the {only}"));
        }
    }
}

/// Whether somebody else wishes first for each address that this user may have.
fn is_crowded(tenant: &graph_simulator::Tenant, id: Uuid) -> bool {
    let wish = |user: &graph_simulator::User| {
        user.mail.clone().unwrap_or_else(|| user.user_principal_name.clone()).to_lowercase()
    };
    let others: BTreeSet<String> =
        tenant.users().filter(|other| other.id() != id && !other.is_deleted()).map(wish).collect();
    tenant.user(id).is_some_and(|user| {
        let addresses = user.mail.iter().chain([&user.user_principal_name]);
        addresses.into_iter().all(|address| others.contains(&address.to_lowercase()))
    })
}

/// A group and all that is nested in it, if it is there.
fn below(now: &Moment, top: Uuid) -> BTreeSet<Uuid> {
    let mut found = BTreeSet::new();
    let mut open = vec![top];
    while let Some(group) = open.pop() {
        if now.groups.contains(&group) && found.insert(group) {
            let members = now.edges.range((group, Uuid::nil())..=(group, Uuid::max()));
            open.extend(members.map(|(_, member)| *member).filter(|id| now.groups.contains(id)));
        }
    }
    found
}

fn compare(
    told: &mut Vec<String>,
    what: &str,
    id: impl std::fmt::Display,
    tenant: Option<&String>,
    stored: Option<&String>,
) {
    if tenant != stored {
        told.push(format!("{what} {id}: tenant {tenant:?}, database {stored:?}"));
    }
}
