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

use super::{Site, router};
use crate::config::Http;
use crate::daemon::Shutdown;

/// The pause after a connection could not be accepted: the process may be out of
/// file descriptors, and trying on at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves `site` until a stop is asked for, then lets answers that have begun end.
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
                let connection =
                    connection(http.clone(), stream, service.clone(), shutdown.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection(
    http: http1::Builder,
    stream: TcpStream,
    service: TowerToHyperService<axum::Router>,
    shutdown: Shutdown,
) {
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        _ = shutdown.stopped() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Clients go away and send nonsense all the time.
        tracing::debug!(%error, "a connection ended badly");
    }
}
