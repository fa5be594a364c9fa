//! How much of the reading goes on side by side. Counts alone: times are the benchmark's.

use std::time::Duration;

use graph_simulator::{Options, Tenant};
use nexus_dirsync::graph::{Detail, Lookup};

use crate::bench::{Bench, group_of, object, tenant_of};

/// Long enough that whatever may be asked at once is asked at once.
const LATENCY: Duration = Duration::from_millis(50);

/// 200 small groups, some middling, one large: what a tenant looks like, scaled down.
fn tenant() -> (Tenant, Vec<uuid::Uuid>, usize) {
    let (mut tenant, ids) = tenant_of(2_000);
    let mut edges = 0;
    let teams = (0..200)
        .map(|at| {
            let members = match at {
                0 => 2_000,
                at if at % 20 == 0 => 300,
                at => at % 30,
            };
            edges += members;
            group_of(&mut tenant, &format!("team {at}"), &ids[..members])
        })
        .collect();
    (tenant, teams, edges)
}

#[tokio::test]
async fn lists_are_read_side_by_side_in_far_fewer_requests_than_pages() {
    const CONCURRENCY: usize = 8;
    let (tenant, teams, edges) = tenant();
    let options = Options { latency: LATENCY, ..Options::default() };
    let bench = Bench::with(tenant, options, |settings| {
        settings.page_size = 100;
        settings.concurrency = CONCURRENCY;
    });
    bench.directory.token_roles().await.expect("a token");
    bench.simulator.reset_counters();
    let asked: Vec<_> = teams.iter().map(|id| object(*id)).collect();
    let (users, all) =
        tokio::join!(bench.directory.list_users(), bench.directory.members(&asked, Detail::Ids));
    assert_eq!(users.expect("a list").get().len(), 2_000);
    let lists = all.expect("lists").lists;
    let read: usize = lists
        .values()
        .map(|list| match list {
            Lookup::Complete(members) => members.get().len(),
            _ => 0,
        })
        .sum();
    assert_eq!(read, edges);
    let counters = bench.simulator.counters();
    let pages = bench.directory.tally().pages;
    assert!(counters.requests * 3 < pages, "{} requests for {pages} pages", counters.requests);
    assert!(counters.under_way_max > 2, "{} requests at once", counters.under_way_max);
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_allowed() {
    for allowed in [1, 2, 5] {
        let options = Options { latency: LATENCY, ..Options::default() };
        let bench = Bench::with(tenant_of(1).0, options, |settings| settings.concurrency = allowed);
        bench.directory.token_roles().await.expect("a token");
        bench.simulator.reset_counters();
        let reads = (0..12).map(|_| bench.directory.list_users());
        assert!(futures::future::join_all(reads).await.into_iter().all(|read| read.is_ok()));
        assert_eq!(bench.simulator.counters().under_way_max, allowed as u64);
    }
}
