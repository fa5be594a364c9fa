//! What is asked again, when, and how often; and that it all ends when it is dropped.

use std::time::{Duration, Instant};

use graph_simulator::{Effect, Fault, FaultBody, Options, Quota, RetryAfter};
use nexus_dirsync::graph::{Detail, Endpoint, Error};

use crate::bench::{Bench, group_of, object, status, tenant_of};

#[tokio::test]
async fn passing_failures_are_asked_again_at_the_same_link() {
    let html = FaultBody::Html("<html>sign in</html>".to_owned());
    let empty = |body| Effect::Status { status: 200, headers: Vec::new(), body };
    let passing = [
        status(408, &[]),
        status(429, &[("Retry-After", "0.02")]),
        status(500, &[]),
        status(503, &[("Retry-After", "-3")]),
        status(503, &[("Retry-After", "Sun, 22 Nov 2020 08:00:00 GMT")]),
        status(504, &[("Retry-After", "soon")]),
        status(509, &[]),
        Effect::Html502,
        Effect::CutBody,
        Effect::TruncatedJson,
        empty(html),
        empty(FaultBody::Empty),
    ];
    let bench =
        Bench::with(tenant_of(25).0, Options::default(), |settings| settings.page_size = 10);
    for effect in passing {
        bench.simulator.reset_counters();
        bench.simulator.inject(Fault::on("skiptoken", effect.clone()).times(2));
        assert_eq!(
            bench.directory.list_users().await.expect("a list").get().len(),
            25,
            "{effect:?}"
        );
        let targets: Vec<_> =
            bench.simulator.requests().into_iter().map(|request| request.target).collect();
        let second =
            targets.iter().position(|target| target.contains("skiptoken")).expect("a page");
        assert_eq!(targets[second], targets[second + 2], "{effect:?}");
    }
}

#[tokio::test]
async fn final_failures_are_not_asked_again() {
    let bench = Bench::new(tenant_of(1).0);
    for (code, kind) in
        [(400, "rejected"), (403, "forbidden"), (404, "not_found"), (501, "rejected")]
    {
        bench.simulator.reset_counters();
        bench.simulator.inject(Fault::on("users", status(code, &[])).once());
        let error = bench.directory.list_users().await.expect_err("refused");
        assert_eq!((error.kind(), bench.requests_to("/users")), (kind, 1));
        assert!(error.request_id().is_some());
    }
}

#[tokio::test]
async fn attempts_end_and_the_setting_is_named() {
    let bench = Bench::new(tenant_of(1).0);
    for (effect, kind) in [
        (status(503, &[]), "unavailable"),
        (Effect::CutBody, "unreachable"),
        (Effect::TruncatedJson, "malformed"),
    ] {
        bench.simulator.clear_faults();
        bench.simulator.reset_counters();
        bench.simulator.inject(Fault::on("users", effect));
        let error = bench.directory.list_users().await.expect_err("hopeless");
        assert_eq!((error.kind(), bench.requests_to("/users")), (kind, 5), "{error}");
        assert!(error.to_string().contains("5 attempts"), "{error}");
    }
    assert!(bench.retries().iter().all(|(endpoint, _)| *endpoint == Endpoint::Users));
}

#[tokio::test]
async fn an_absurd_wait_is_capped() {
    let bench = Bench::new(tenant_of(1).0);
    bench.simulator.inject(Fault::on("users", status(429, &[("Retry-After", "86400")])).once());
    let start = Instant::now();
    bench.directory.list_users().await.expect("a list");
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_throttle_holds_every_request_of_the_client() {
    let bench = Bench::with(tenant_of(3).0, Options::default(), |settings| {
        settings.backoff_max = Duration::from_millis(400);
    });
    bench.directory.token_roles().await.expect("a token");
    bench.simulator.inject(Fault::on("users", status(429, &[("Retry-After", "0.4")])).once());
    let users = async {
        bench.directory.list_users().await.expect("a list");
    };
    let groups = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let asked = Instant::now();
        bench.directory.list_groups().await.expect("a list");
        assert!(asked.elapsed() >= Duration::from_millis(200), "{:?}", asked.elapsed());
    };
    tokio::join!(users, groups);
}

#[tokio::test]
async fn under_a_quota_everything_is_read_in_the_end() {
    for retry_after in [RetryAfter::Exact, RetryAfter::Seconds(0.05), RetryAfter::Absent] {
        let (mut tenant, ids) = tenant_of(20);
        let teams: Vec<_> =
            (0..60).map(|at| object(group_of(&mut tenant, &format!("{at}"), &ids))).collect();
        let quota = Quota { retry_after, ..Quota::of(1_000) };
        let bench = Bench::with(tenant, Options { quota, ..Options::default() }, |settings| {
            settings.retries_max = 30;
        });
        for _ in 0..9 {
            let all = bench.directory.members(&teams, Detail::Ids).await.expect("lists");
            assert_eq!(all.lists.len(), 60);
        }
        assert!(bench.directory.tally().resource_units > 0);
    }
}

#[tokio::test]
async fn a_hanging_answer_is_given_up_and_asked_again() {
    let bench = Bench::with(tenant_of(2).0, Options::default(), |settings| {
        settings.request_timeout = Duration::from_millis(300);
    });
    bench.directory.token_roles().await.expect("a token");
    bench.simulator.inject(Fault::on("users", Effect::Hang).once());
    assert_eq!(bench.directory.list_users().await.expect("a list").get().len(), 2);
    assert_eq!(bench.retries(), [(Endpoint::Users, "timeout")]);
}

#[tokio::test]
async fn no_answer_at_all_is_unreachable_and_shows_no_url() {
    let bench = Bench::new(tenant_of(1).0);
    bench.directory.token_roles().await.expect("a token");
    let Bench { simulator, directory, .. } = bench;
    drop(simulator);
    let error = directory.list_users().await.expect_err("nobody there");
    let mut text = format!("{error} {error:?}");
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    assert!(matches!(error, Error::Unreachable { .. }) && !text.contains("$select"), "{text}");
}

#[tokio::test]
async fn a_dropped_read_ends_at_once() {
    let bench = Bench::with(tenant_of(1).0, Options::default(), |settings| {
        settings.backoff_max = Duration::from_hours(1);
    });
    bench.directory.token_roles().await.expect("a token");
    bench.simulator.inject(Fault::on("users", status(503, &[("Retry-After", "3000")])));
    let read = tokio::time::timeout(Duration::from_millis(200), bench.directory.list_users());
    assert!(read.await.is_err());
    bench.simulator.clear_faults();
    assert!(bench.directory.list_users().await.is_ok(), "nothing is left locked");
    bench.simulator.inject(Fault::on("users", Effect::Hang));
    let reads = tokio::time::timeout(Duration::from_millis(200), async {
        futures::join!(bench.directory.list_users(), bench.directory.list_users())
    });
    assert!(reads.await.is_err());
    bench.simulator.clear_faults();
    assert!(bench.directory.list_users().await.is_ok());
}

#[tokio::test]
async fn what_graph_says_in_headers_reaches_the_observer() {
    let bench = Bench::new(tenant_of(3).0);
    bench.simulator.inject(
        Fault::on("users", status(503, &[("x-ms-throttle-limit-percentage", "1.25")])).once(),
    );
    bench.directory.list_users().await.expect("a list");
    let ratios = bench.watch.ratios.lock().expect("no panic").clone();
    assert!(ratios.contains(&1.25), "{ratios:?}");
    let answers = bench.watch.answers.lock().expect("no panic").clone();
    let seen: Vec<_> =
        answers.iter().map(|answer| (answer.endpoint.label(), answer.status)).collect();
    assert_eq!(seen, [("token", 200), ("users", 503), ("users", 200)]);
    assert!(answers.iter().all(|answer| answer.seconds.is_some()));
    let tally = bench.directory.tally();
    assert_eq!((tally.requests, tally.retries, tally.pages), (2, 1, 1));
    assert!(tally.bytes > 0);
    let ids: Vec<_> = bench
        .simulator
        .requests()
        .into_iter()
        .filter_map(|request| request.client_request_id)
        .collect();
    assert!(ids.len() >= 2 && ids.windows(2).all(|pair| pair[0] != pair[1]));
}

/// Graph is silent about a quota of which little is used: a good answer without the header
/// ends what was said before. What fails, and a batch as a whole, never had it.
#[tokio::test]
async fn a_throttle_ratio_holds_until_an_answer_that_could_tell_it_does_not() {
    const HEADER: &str = "x-ms-throttle-limit-percentage";
    let (mut tenant, ids) = tenant_of(3);
    let team = group_of(&mut tenant, "team", &ids);
    let bench = Bench::new(tenant);
    let told = async |faults: &[Effect], batch: bool| {
        for effect in faults {
            bench.simulator.inject(Fault::on("", effect.clone()).once());
        }
        if batch {
            bench.directory.members(&[object(team)], Detail::Ids).await.expect("lists");
        } else {
            bench.directory.list_users().await.expect("a list");
        }
        std::mem::take(&mut *bench.watch.ratios.lock().expect("no panic"))
    };
    // The token is asked for once.
    assert_eq!(told(&[], false).await, [0.0]);
    for (faults, batch, expected) in [
        (&[status(429, &[(HEADER, "1.25")])][..], false, &[1.25, 0.0][..]),
        (&[status(503, &[(HEADER, "0.9")]), status(503, &[])], false, &[0.9, 0.0]),
        (&[status(429, &[(HEADER, "1.1")]), status(429, &[])], false, &[1.1, 0.0]),
        (&[Effect::Html502], true, &[]),
    ] {
        assert_eq!(told(faults, batch).await, expected, "{faults:?}");
    }
}
