//! What must hold after every step, whatever went wrong.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::chronicle::Chronicle;
use crate::stage::Stage;
use crate::support::sql::Sql;

/// One row of `product_access`: product, person, and the group it leads over, if any.
pub type Path = (String, Uuid, Option<Uuid>);

/// What one run may take away, or nothing where nothing is limited.
pub type Allowed = Option<u64>;

/// Follows a history from check to check.
pub struct Safety {
    seen: BTreeSet<Path>,
    /// The newest moment of the tenant at the last check.
    at: usize,
    generation: i64,
    /// By generation, a moment that was over before it was committed.
    committed: BTreeMap<i64, usize>,
    /// Since when a lie may have kept a change from the daemon for good.
    pub lied_since: Option<usize>,
    /// Runs that were checked against the limits.
    judged: BTreeSet<String>,
}

impl Safety {
    pub fn new() -> Self {
        Self {
            seen: BTreeSet::new(),
            at: 0,
            generation: 0,
            committed: BTreeMap::new(),
            lied_since: None,
            judged: BTreeSet::new(),
        }
    }

    pub async fn check(&mut self, stage: &Stage, chronicle: &Chronicle, allowed: Allowed) {
        let mut sql = stage.sql();
        sql.hold_still();
        let generation = generation(&mut sql);
        let now = chronicle.now();
        let paths = paths(&mut sql);
        self.assert_nothing_lost(chronicle, &mut sql, generation, &paths);
        self.assert_within_limits(&mut sql, allowed);
        drop(sql);
        for committed in self.generation + 1..=generation {
            self.committed.insert(committed, self.at);
        }
        (self.seen, self.at, self.generation) = (paths, now, generation);
        stage.world.assert_audit_whole().await;
        stage.assert_told_once();
    }

    /// Whoever lost a path was kept from it by the tenant at some moment that the daemon
    /// may have met since.
    fn assert_nothing_lost(
        &self,
        chronicle: &Chronicle,
        sql: &mut Sql,
        generation: i64,
        paths: &BTreeSet<Path>,
    ) {
        assert!(generation >= self.generation, "the cursor went back");
        let links: BTreeSet<String> = sql.cells(LINKS).into_iter().collect();
        // The first run of those that committed started from the stored links, which are
        // those of the run before; and Graph may repeat the round before that.
        let since = self.committed.get(&(self.generation - 2)).copied().unwrap_or(0);
        let stable = chronicle.stable(self.lied_since.map_or(since, |lied| lied.min(since)));
        for (product, user, group) in self.seen.difference(paths) {
            let kept_away = match group {
                Some(group) => !stable.reached(*group).contains(user),
                None => !stable.people.contains(user),
            };
            let linked = group.is_none_or(|group| links.contains(&format!("{product} {group}")));
            assert!(
                kept_away && linked,
                "{user} lost {product} over {group:?}, and nobody took it away: \
                 linked {linked}, generation {} -> {generation}, moments {since}..={}",
                self.generation,
                chronicle.now(),
            );
        }
    }

    fn assert_within_limits(&mut self, sql: &mut Sql, allowed: Allowed) {
        let taken = sql.cells(TAKEN);
        for line in taken {
            let fields: Vec<&str> = line.split(' ').collect();
            let [run, users, memberships] = fields[..] else { panic!("{line}") };
            if !self.judged.insert(run.to_owned()) {
                continue;
            }
            if let Some(max) = allowed {
                let within = |count: &str| count.parse::<u64>().unwrap() <= max;
                assert!(within(users) && within(memberships), "above {max}: {line}");
            }
        }
    }
}

const LINKS: &str = "SELECT p.name || ' ' || g.external_id AS cell FROM product_aad_groups l \
    JOIN products p ON p.id = l.product_id JOIN aad_groups g ON g.id = l.aad_group_id";

/// By run: people who stopped being live, memberships taken away.
const TAKEN: &str = "SELECT concat_ws(' ', metadata->>'run_id', \
      count(*) FILTER (WHERE entity_type = 'user' AND action = 'status_change' \
        AND before->'identity'->>'state' = 'live' AND after->'identity'->>'state' <> 'live'), \
      count(*) FILTER (WHERE entity_type = 'aad_group' AND action = 'unlink')) AS cell \
    FROM audit_logs WHERE actor_type = 'system' GROUP BY metadata->>'run_id'";

fn generation(sql: &mut Sql) -> i64 {
    let cells = sql.cells("SELECT CAST(generation AS text) AS cell FROM dirsync_cursors");
    cells.first().map_or(0, |cell| cell.parse().unwrap())
}

/// The view, each row once.
pub fn paths(sql: &mut Sql) -> BTreeSet<Path> {
    let rows = sql.cells(
        "SELECT concat_ws('|', p.name, i.object_id, g.external_id) AS cell FROM product_access a \
         JOIN products p ON p.id = a.product_id \
         JOIN dirsync_user_identities i ON i.user_id = a.user_id \
         LEFT JOIN aad_groups g ON g.id = a.aad_group_id",
    );
    let paths: BTreeSet<Path> = rows.iter().map(|row| path(row)).collect();
    assert_eq!(paths.len(), rows.len(), "one row a path: {rows:?}");
    paths
}

fn path(row: &str) -> Path {
    let fields: Vec<&str> = row.split('|').collect();
    let group = fields.get(2).map(|id| id.parse().unwrap());
    (fields[0].to_owned(), fields[1].parse().unwrap(), group)
}
