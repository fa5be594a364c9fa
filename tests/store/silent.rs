//! A connection on which nothing comes any more: whoever waits is told, and nobody else waits.

use std::sync::Arc;

use nexus_dirsync::store::{Error, Settings, Store};

use crate::prelude::*;
use crate::support::postgres;
use crate::support::proxy::{Proxy, Upstream};

/// A store with one connection, behind a network that can be broken.
async fn behind(proxy: &Proxy) -> Store {
    let database = Database::new(On::Postgres);
    let name = database.url.rsplit('/').next().unwrap();
    let url = format!("postgres://postgres@{}/{name}", proxy.address());
    let store = Store::open(&Settings {
        url: url.into(),
        pool_size: 1,
        connect_timeout: Duration::from_secs(2),
        statement_timeout: Duration::from_secs(1),
        ..database.settings()
    });
    let store = store.unwrap();
    store.migrate().await.unwrap();
    store.ready().await.unwrap();
    store
}

#[tokio::test]
async fn a_connection_that_fell_silent_costs_one_question_and_no_place() {
    let proxy = Arc::new(Proxy::start(Upstream::Unix(postgres::socket())));
    let store = behind(&proxy).await;
    // Two at once, as readiness and a run: the second waits for the only connection.
    proxy.hush();
    let (one, two) = tokio::join!(store.ready(), store.ready());
    for answer in [one, two] {
        let refused = answer.unwrap_err();
        assert_eq!(refused.kind(), "database_unreachable", "{refused:?}");
    }
    store.ready().await.unwrap();
    assert!(!store.is_mute());

    // In the middle of a transaction.
    let network = Arc::clone(&proxy);
    let asked = store.read(move |tx| {
        tx.leader()?;
        network.hush();
        tx.leader()
    });
    assert!(matches!(asked.await.unwrap_err(), Error::Silent));
    store.ready().await.unwrap();

    // New connections are not answered either.
    proxy.stall();
    assert!(matches!(store.ready().await.unwrap_err(), Error::Silent));
    assert!(store.is_mute());
    proxy.restore();
    store.ready().await.unwrap();
    assert!(!store.is_mute());
}
