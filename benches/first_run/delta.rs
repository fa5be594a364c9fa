//! Delta runs: what they ask, read and write. Counted, not timed.

use std::collections::BTreeSet;
use std::time::Duration;

use graph_simulator::Shape;

use crate::Outcome;
use crate::daemon;
use crate::database::{Database, Touches, between, sum};
use crate::edits::{self, CHANGES};
use crate::goals::Goals;
use crate::postgres::Cluster;
use crate::service::{Service, Serving};
use crate::table::Table;

/// How many times smaller the other tenant is.
const SMALLER: usize = 10;
/// `users/delta` and `groups/delta`.
const STREAMS: u64 = 2;
/// Its own row and the cursor's.
const ROWS_OF_A_RUN: u64 = 2;
/// The audit row, the row itself, its identity and what was observed; a person's names and
/// groups are read to decide.
const ROWS_READ_EACH: u64 = 60;
const ROWS_WRITTEN_EACH: u64 = 5;

/// What two delta runs did to one tenant.
struct Tenant {
    quiet: Did,
    busy: Did,
}

struct Did {
    requests: u64,
    changes: u64,
    touches: Touches,
}

impl Did {
    fn read(&self) -> u64 {
        sum(&self.touches).read.unsigned_abs()
    }

    fn written(&self) -> u64 {
        sum(&self.touches).written.unsigned_abs()
    }
}

/// The same hundred changes in this tenant and in a smaller one.
pub(crate) async fn touches(cluster: &Cluster, shape: &Shape, goals: &mut Goals) -> Outcome<()> {
    let smaller = Shape {
        users: shape.users / SMALLER,
        groups: shape.groups / SMALLER,
        memberships: shape.memberships / SMALLER,
        largest_group: shape.largest_group / SMALLER,
        ..shape.clone()
    };
    let large = tenant(cluster, "delta_large", shape).await?;
    let small = tenant(cluster, "delta_small", &smaller).await?;
    report(&large, &small);
    for (name, tenant) in [("large", &large), ("small", &small)] {
        let quiet = &tenant.quiet;
        goals.count(&format!("requests of a quiet delta run ({name})"), quiet.requests, STREAMS);
        let written = quiet.written();
        goals.count(&format!("rows a quiet delta run writes ({name})"), written, ROWS_OF_A_RUN);
    }
    let changes = CHANGES as u64;
    let (read, written) = (large.busy.read(), large.busy.written());
    goals.count("rows read for 100 changes", read, changes * ROWS_READ_EACH);
    goals.count("rows written for 100 changes", written, changes * ROWS_WRITTEN_EACH);
    goals.same("rows read, large and small tenant", read, small.busy.read());
    goals.same("rows written, large and small tenant", written, small.busy.written());
    Ok(())
}

async fn tenant(cluster: &Cluster, name: &str, shape: &Shape) -> Outcome<Tenant> {
    let service =
        Service::start(&Serving { shape: shape.clone(), latency: Duration::ZERO, quota: false })?;
    service.edit(&edits::department()).await?;
    let database = Database::migrated(cluster, name).await?;
    let endpoint = service.url.clone();
    daemon::Task { endpoint, database: database.url.clone(), full: true }.run()?;
    let quiet = delta(&service, &database).await?;
    service.edit(&edits::changes()).await?;
    let busy = delta(&service, &database).await?;
    Ok(Tenant { quiet, busy })
}

async fn delta(service: &Service, database: &Database) -> Outcome<Did> {
    service.reset().await?;
    let before = database.touches()?;
    let endpoint = service.url.clone();
    let took = daemon::Task { endpoint, database: database.url.clone(), full: false }.run()?;
    let touches = between(&before, &database.touches()?);
    let requests = service.counters().await?.graph_requests();
    Ok(Did { requests, changes: took.changes, touches })
}

fn report(large: &Tenant, small: &Tenant) {
    let mut table = Table::new([
        "delta runs: rows read / written",
        "large, quiet",
        "large, 100 changes",
        "small, quiet",
        "small, 100 changes",
    ]);
    let runs = [&large.quiet, &large.busy, &small.quiet, &small.busy];
    let row = |name: &str, cell: &dyn Fn(&Did) -> String| {
        let [a, b, c, d] = runs.map(cell);
        [name.to_owned(), a, b, c, d]
    };
    table.row(row("requests", &|did| did.requests.to_string()));
    table.row(row("changes", &|did| did.changes.to_string()));
    table.row(row("rows", &|did| format!("{} / {}", did.read(), did.written())));
    let tables: BTreeSet<&String> = runs.iter().flat_map(|did| did.touches.keys()).collect();
    for name in tables {
        table.row(row(&format!("  {name}"), &|did| {
            let touched = did.touches.get(name).copied().unwrap_or_default();
            format!("{} / {}", touched.read, touched.written)
        }));
    }
    table.print();
}
