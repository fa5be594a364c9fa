//! Accepts connections within limits, and ends them gracefully.
//!
//! Owns the sockets: axum's own server limits neither connections, nor the size of a
//! head, nor the time it may take to arrive. Must not know any path.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Site, router};
use crate::config::Http;
use crate::daemon::Shutdown;

/// The pause after a connection could not be accepted: the process may be out of
/// file descriptors, and trying on at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// How long answers that have begun may go on after a stop.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// Serves `site` until a stop is asked for, then lets answers that have begun end,
/// but waits for no client that does not read them.
pub async fn serve(listener: TcpListener, site: Site, limits: Http, shutdown: Shutdown) {
    let service = TowerToHyperService::new(router(site, &limits));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(usize::try_from(limits.header_bytes_max).unwrap_or(usize::MAX));
    let permits = Arc::new(Semaphore::new(usize::try_from(limits.connections_max).unwrap_or(1)));
    let mut connections = JoinSet::new();
    let accept = async || {
        // The permit comes first: what waits, waits in the kernel's queue.
        let permit = Arc::clone(&permits).acquire_owned().await;
        (permit, listener.accept().await)
    };
    while let Ok((permit, accepted)) = shutdown.unless_stopped(accept()).await {
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) => {
                let connection = connection(
                    http.clone(),
                    stream,
                    service.clone(),
                    limits.clone(),
                    shutdown.clone(),
                );
                connections.spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(STOP_GRACE, ended).await.is_err() {
        tracing::debug!("connections are cut whose clients do not read");
        connections.shutdown().await;
    }
}

/// Serves one connection. It takes requests for `header_timeout`; one that has begun by
/// then has `request_timeout` more. So nobody holds a connection for longer than both.
async fn connection(
    http: http1::Builder,
    stream: TcpStream,
    service: TowerToHyperService<axum::Router>,
    limits: Http,
    shutdown: Shutdown,
) {
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = old_or_stopped(limits.header_timeout, &shutdown) => {
            connection.as_mut().graceful_shutdown();
            let Ok(ended) = timeout(limits.request_timeout, connection).await else {
                tracing::debug!("a connection is cut whose client does not read");
                return;
            };
            ended
        }
    };
    if let Err(error) = ended {
        // Clients go away and send nonsense all the time.
        tracing::debug!(%error, "a connection ended badly");
    }
}

async fn old_or_stopped(age: Duration, shutdown: &Shutdown) {
    tokio::select! {
        () = sleep(age) => {}
        _ = shutdown.stopped() => {}
    }
}
