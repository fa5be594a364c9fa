//! How far from a walk one page at a time the reading is.

use std::time::{Duration, Instant};

use graph_simulator::{Options, Tenant};
use nexus_dirsync::graph::{Detail, Lookup};

use crate::bench::{Bench, group_of, object, tenant_of};

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
async fn reading_is_far_faster_than_a_walk() {
    let (tenant, teams, edges) = tenant();
    let options = Options { latency: LATENCY, ..Options::default() };
    let bench = Bench::with(tenant, options, |settings| settings.page_size = 100);
    bench.directory.token_roles().await.expect("a token");
    let asked: Vec<_> = teams.iter().map(|id| object(*id)).collect();
    let start = Instant::now();
    let (users, all) =
        tokio::join!(bench.directory.list_users(), bench.directory.members(&asked, Detail::Ids));
    let took = start.elapsed();
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
    let pages = u32::try_from(bench.directory.tally().pages).expect("few");
    let walk = LATENCY * pages;
    assert!(took * 4 < walk, "took {took:?}, a walk over {pages} pages takes {walk:?}");
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_allowed() {
    let options = Options { latency: LATENCY, ..Options::default() };
    let bench = Bench::with(tenant_of(1).0, options, |settings| settings.concurrency = 2);
    bench.directory.token_roles().await.expect("a token");
    let start = Instant::now();
    let reads = (0..12).map(|_| bench.directory.list_users());
    assert!(futures::future::join_all(reads).await.into_iter().all(|read| read.is_ok()));
    assert!(start.elapsed() >= LATENCY * 6, "{:?}", start.elapsed());
}

/// 100,000 users and 5,000 groups with half a million memberships, the largest 25,000.
#[tokio::test]
#[ignore = "takes a minute in a debug build"]
async fn a_large_tenant_is_read_in_seconds() {
    let (mut tenant, ids) = tenant_of(100_000);
    let teams: Vec<_> = (0..5_000)
        .map(|at: usize| {
            let size = if at == 0 { 25_000 } else { 95 };
            let start = (at * 95) % (ids.len() - size);
            object(group_of(&mut tenant, &format!("team {at}"), &ids[start..start + size]))
        })
        .collect();
    let options = Options { latency: LATENCY, keep_requests: 0, ..Options::default() };
    let bench = Bench::with(tenant, options, |_| {});
    bench.directory.token_roles().await.expect("a token");
    let start = Instant::now();
    let (users, all) =
        tokio::join!(bench.directory.list_users(), bench.directory.members(&teams, Detail::Ids));
    println!("read in {:?}: {:?}", start.elapsed(), bench.directory.tally());
    assert_eq!(users.expect("a list").get().len(), 100_000);
    let complete = |list: &Lookup<_>| matches!(list, Lookup::Complete(_));
    assert!(all.expect("lists").lists.values().all(complete));
}
