//! What people do with the platform beside the daemon, and what they see of it.

use graph_simulator::Tenant;
use nexus_dirsync::directory::Mode;
use nexus_dirsync::reconcile::guard::{Allowance, Limit, Limits};
use nexus_dirsync::reconcile::report::{Outcome, Report};
use nexus_dirsync::reconcile::world::RegistryEntry;
use nexus_dirsync::store::{Decider, Decision, Error, StoredPlan, Verdict};
use uuid::Uuid;

use super::company::id;
use super::world::{World, unlimited};

/// Limits that allow so many removals of each unit.
pub fn at_most(max: u64) -> Limits {
    let all = unlimited();
    let limit = Limit { run: Allowance { max, percent: 100.0 }, ..all.users };
    Limits { users: limit, groups: limit, memberships: limit, floor: 0, ..all }
}

/// One entry of a registry.
pub fn entry(product: &str, groups: &[&str], owner: Option<&str>) -> RegistryEntry {
    RegistryEntry {
        product: product.to_owned(),
        description: format!("The product {product}"),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        owner: owner.map(str::to_owned),
    }
}

impl World {
    /// Plans that wait for a person, oldest first.
    pub async fn pending(&self) -> Vec<StoredPlan> {
        let mut plans = self.store.read(|tx| tx.plans(false)).await.unwrap();
        plans.retain(|plan| plan.status == "pending");
        plans.reverse();
        plans
    }

    /// Somebody answers a plan.
    pub async fn answer(&self, hash: &str, decision: Decision) {
        self.try_answer(hash, decision).await.unwrap();
    }

    /// The same, where it may be too late for an answer.
    pub async fn try_answer(&self, hash: &str, decision: Decision) -> Result<usize, Error> {
        let hash = hash.to_owned();
        let decider =
            Decider { by: "root@x".to_owned(), user_id: None, break_glass: Some("a test".into()) };
        let now = chrono::Utc::now();
        let work = move |tx: &mut nexus_dirsync::store::Tx<'_>| {
            tx.decide_plan(&hash, &decider, &decision, now).map(Verdict::Commit)
        };
        self.store.write(work).await
    }

    /// Somebody lets everything through that waits; returns how many plans that were.
    pub async fn approve_all(&self) -> usize {
        let plans = self.pending().await;
        for plan in &plans {
            let items = plan.statuses.values().sum::<u64>();
            let numbers = (1..=i32::try_from(items).unwrap()).collect();
            self.answer(&plan.hash, Decision::Approve(numbers)).await;
        }
        plans.len()
    }

    /// Runs until nothing waits, with somebody who says yes to everything.
    pub async fn run_agreed(&self, mode: Mode) -> Report {
        let mut report = self.run(mode).await;
        while self.approve_all().await > 0 {
            report = self.run(Mode::Delta).await;
        }
        report
    }

    /// Changes the directory.
    pub fn edit<R>(&self, change: impl FnOnce(&mut Tenant) -> R) -> R {
        self.simulator.edit(change)
    }

    /// Changes the directory and follows it.
    pub async fn follow<R>(&self, change: impl FnOnce(&mut Tenant) -> R) -> Report {
        self.edit(change);
        self.run(Mode::Delta).await
    }

    /// Runs statements, as another service of the platform would.
    pub fn sql(&self, sql: &str) {
        self.database.sql(sql);
    }

    /// See [`Database::lines`](super::world::Database::lines).
    pub fn lines(&self, columns: &str, from: &str) -> Vec<String> {
        self.database.lines(columns, from)
    }

    /// People make a product, unless there is one of that name.
    pub fn product(&self, name: &str) {
        self.sql(&format!(
            "INSERT INTO products (name) VALUES ('{name}') ON CONFLICT (name) DO NOTHING"
        ));
    }

    /// People link a product to a group by its id, whether the daemon knows it or not.
    pub fn link(&self, product: &str, group: Uuid) {
        self.product(product);
        self.sql(&format!(
            "INSERT INTO aad_groups (external_id, display_name) VALUES ('{group}', 'by hand') ON CONFLICT (external_id) DO NOTHING;
             INSERT INTO product_aad_groups (product_id, aad_group_id) SELECT p.id, g.id
               FROM products p, aad_groups g WHERE p.name = '{product}' AND g.external_id = '{group}'"
        ));
    }

    /// People make somebody a member of a product.
    pub fn member(&self, product: &str, name: &str, role: &str) {
        self.product(product);
        self.sql(&format!(
            "INSERT INTO product_members (user_id, product_id, role) SELECT u.id, p.id, '{role}'
               FROM users u, products p WHERE u.name = '{name}' AND p.name = '{product}'"
        ));
    }

    /// The names of everybody with access to a product.
    pub fn who(&self, product: &str) -> Vec<String> {
        let mut names = self.lines(
            "u.name",
            &format!(
                "product_access a JOIN users u ON u.id = a.user_id JOIN products p ON p.id = a.product_id WHERE p.name = '{product}'"
            ),
        );
        names.dedup();
        names
    }

    /// `name|email|role|state` of each row of `users`; people's rows have no state.
    pub fn users(&self) -> Vec<String> {
        self.lines(
            "u.name, u.email, u.role, i.state",
            "users u LEFT JOIN dirsync_user_identities i ON i.user_id = u.id",
        )
    }

    /// One user of [`users`](Self::users), by the name it has in the company.
    pub fn user(&self, name: &str) -> String {
        let of = format!(
            "users u JOIN dirsync_user_identities i ON i.user_id = u.id WHERE i.object_id = '{}'",
            id(name)
        );
        self.lines("u.name, u.email, u.role, i.state", &of).pop().unwrap_or_default()
    }

    /// `kind|subject` of each open finding.
    pub fn findings(&self) -> Vec<String> {
        self.lines("kind, subject", "dirsync_findings WHERE resolved_at IS NULL")
    }

    /// `entity|action|count` of the daemon's audit, since an audit id.
    pub fn audit_since(&self, since: u64) -> Vec<String> {
        self.lines(
            "entity_type, action, count(*)",
            &format!("audit_logs WHERE id > {since} AND actor_type = 'system' GROUP BY entity_type, action"),
        )
    }

    /// The newest audit id.
    pub fn audit_mark(&self) -> u64 {
        self.lines("coalesce(max(id), 0)", "audit_logs")[0].parse().unwrap()
    }

    /// Every link gives access to exactly the live people that the tenant has in its group.
    pub fn assert_access_is_true(&self) {
        let links = self.lines(
            "p.name, g.external_id",
            "product_aad_groups l JOIN products p ON p.id = l.product_id JOIN aad_groups g ON g.id = l.aad_group_id",
        );
        let waiting = self.lines(
            "subject",
            "dirsync_findings WHERE resolved_at IS NULL AND kind IN ('address_conflict', 'adoption_waits', 'user_without_address')",
        );
        // Whoever waits without a row has nothing yet; who has one keeps what it gives.
        let rows = self.lines("object_id", "dirsync_user_identities");
        for link in links {
            let (product, group) = link.split_once('|').unwrap();
            let paths = format!(
                "product_access a JOIN products p ON p.id = a.product_id JOIN aad_groups g ON g.id = a.aad_group_id
                   JOIN dirsync_user_identities i ON i.user_id = a.user_id WHERE p.name = '{product}' AND g.external_id = '{group}'"
            );
            let group: Uuid = group.parse().unwrap();
            let mut people: Vec<String> = self.simulator.read(|tenant| {
                let live = |id: &Uuid| {
                    tenant
                        .user(*id)
                        .is_some_and(|u| !u.is_deleted() && u.account_enabled == Some(true))
                };
                tenant
                    .effective_users(group)
                    .iter()
                    .filter(|id| live(id))
                    .map(Uuid::to_string)
                    .collect()
            });
            people.retain(|id| rows.contains(id) || !waiting.contains(id));
            assert_eq!(self.lines("i.object_id", &paths), people, "{product} by {group}");
        }
    }

    /// Another run finds nothing to do, in either mode.
    pub async fn assert_rests(&self) {
        for mode in [Mode::Delta, Mode::Full] {
            let report = self.run(mode).await;
            assert_eq!(report.outcome, Outcome::Unchanged, "{mode} {:?}", report.changes);
            assert_eq!(report.drift, 0, "{mode}");
        }
    }
}
