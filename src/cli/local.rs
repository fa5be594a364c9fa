//! Talks to the daemon that runs on this machine, or in this container.
//!
//! Owns where it is found. Must not be pointed anywhere else: what it says decides
//! which process is signalled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::chain::Chain;
use crate::config::Http;
use crate::daemon::Status;

const PATIENCE: Duration = Duration::from_secs(5);

/// Why the daemon did not tell how it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum LocalError {
    #[error("no daemon answers on http://{address} (http.listen); is it running?")]
    Silent {
        address: SocketAddr,
        #[source]
        source: reqwest::Error,
    },
    #[error("what answers on http://{address} (http.listen) is not nexus-dirsync")]
    Stranger { address: SocketAddr },
}

impl LocalError {
    pub(super) fn tell(&self) {
        eprintln!("{}", Chain(self));
    }
}

/// What the daemon says of itself.
pub(super) async fn status(http: &Http) -> Result<Status, LocalError> {
    let address = reachable(http.listen);
    let silent =
        |source: reqwest::Error| LocalError::Silent { address, source: source.without_url() };
    // A proxy of the environment must not stand between two processes of one machine.
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().map_err(silent)?;
    let answer = client.get(format!("http://{address}/status")).send().await.map_err(silent)?;
    let body = answer.bytes().await.map_err(silent)?;
    serde_json::from_slice(&body).map_err(|_| LocalError::Stranger { address })
}

/// "Every interface" is no address to connect to; the loopback one is among them.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interface_is_reached_by_loopback() {
        for (listen, expected) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("127.0.0.2:80", "127.0.0.2:80"),
            ("192.0.2.1:80", "192.0.2.1:80"),
        ] {
            assert_eq!(reachable(listen.parse().expect("an address")).to_string(), expected);
        }
    }
}
