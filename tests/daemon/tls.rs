//! TLS to PostgreSQL: the right authority and name, or no connection; and a word about
//! every URL that asks for less.

use std::fs;

use graph_simulator::Options;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};

use crate::stage::{Stage, free_port, guarded, small};
use crate::support::postgres::Cluster;
use crate::support::world::{Database, On};

struct Authority {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        Self { certificate: params.self_signed(&key).unwrap(), key }
    }

    /// A server's certificate and key, PEM.
    fn vouch_for(&self, names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &self.certificate, &self.key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// A server on TCP that speaks TLS as `localhost`, and where to find it.
struct Server {
    cluster: Cluster,
    port: u16,
}

fn serve(ours: &Authority, tls: &str) -> Server {
    let (certificate, key) = ours.vouch_for(&["localhost"]);
    let port = free_port();
    let settings = ["listen_addresses=127.0.0.1", tls];
    let files = [("server.crt", certificate.as_str()), ("server.key", key.as_str())];
    Server { cluster: Cluster::start_with(port, &settings, &files), port }
}

impl Server {
    fn url(&self, host: &str, query: &str) -> String {
        format!("postgres://postgres@{host}:{}/safe?{query}", self.port)
    }
}

#[tokio::test]
async fn only_the_right_authority_and_name_are_trusted() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let server = serve(&ours, "ssl=on");
    server.cluster.psql("postgres", "CREATE DATABASE safe");
    let database = Database::at(server.cluster.url("safe"));
    let stage = Stage::with(database, small(90), guarded()).await;
    let (good, bad) = (stage.path("ca.pem"), stage.path("other.pem"));
    fs::write(&good, ours.certificate.pem()).unwrap();
    fs::write(&bad, other.certificate.pem()).unwrap();
    let verify =
        |file: &std::path::Path| format!("sslmode=verify-full&sslrootcert={}", file.display());

    stage.set("database.connect_timeout", "300ms");
    stage.set("database.url", &server.url("localhost", &verify(&good)));
    assert!(stage.ask(&["sync"]).await.contains("full run applied"));

    for (what, url, words) in [
        ("another authority", server.url("localhost", &verify(&bad)), "certificate verify failed"),
        ("another name", server.url("127.0.0.1", &verify(&good)), "does not match host name"),
        ("no file", server.url("localhost", &verify(&stage.path("nowhere.pem"))), "does not exist"),
    ] {
        stage.set("database.url", &url);
        let told = stage.tell(&["check"]).await;
        assert_eq!(told.code, 1, "{what}: {told:?}");
        for part in ["sslrootcert", "database.url", words] {
            assert!(told.out.contains(part), "{what}: {part} in {told:?}");
        }
    }
    // The daemon goes on trying: a file may be replaced, a server mended.
    let daemon = stage.start().await;
    daemon.until_code("/readyz", 503).await;
    let (_, told) = daemon.get("/readyz").await.expect("it answers");
    assert!(told.contains("sslrootcert"), "{told}");
    fs::copy(&good, stage.path("nowhere.pem")).unwrap();
    assert_eq!(daemon.first_run().await.outcome, "unchanged");
    daemon.stop().await;
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let ours = Authority::new("ours");
    let server = serve(&ours, "ssl=off");
    server.cluster.psql("postgres", "CREATE DATABASE safe");
    let database = Database::at(server.cluster.url("safe"));
    let stage = Stage::with(database, small(91), Options::default()).await;
    stage.set("database.url", &server.url("localhost", "sslmode=require"));
    let told = stage.tell(&["check"]).await;
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.out.contains("does not support SSL"), "{told:?}");
    stage.set("database.url", &server.url("localhost", "sslmode=prefer"));
    assert!(stage.ask(&["check"]).await.contains("ok    database"), "this machine, so no matter");
}

#[tokio::test]
async fn a_url_that_asks_for_less_is_warned_about() {
    let stage = Stage::new(On::Sqlite, small(92)).await;
    let password = "pa55word~of~nobody";
    stage.set("database.url", &format!("postgres://me:{password}@192.0.2.1/nexus"));
    stage.set("database.connect_timeout", "1s");
    let told = stage.tell(&["check"]).await;
    assert!(
        told.out.contains("note  configuration: database.url: sslmode=prefer lets"),
        "{told:?}"
    );
    let daemon = stage.start().await;
    let said = daemon.said("WARN", "sslmode=verify-full");
    assert_eq!(said.len(), 1, "{}", daemon.printed());
    assert!(!daemon.printed().contains(password) && !format!("{told:?}").contains(password));
    daemon.stop().await;

    // The environment has a say in it, as libpq reads it.
    for (url, variable, mode, warned) in [
        ("postgres:///nexus", "PGHOST", "prefer", true),
        ("postgres://localhost/nexus", "PGHOSTADDR", "prefer", true),
        ("postgres://localhost/nexus", "PGHOSTADDR", "verify-full", false),
    ] {
        stage.set("database.url", url);
        let environment = [(variable, "192.0.2.1"), ("PGSSLMODE", mode)];
        let told = stage.tell_with(&["check"], &environment).await;
        assert_eq!(told.out.contains("sslmode=prefer lets"), warned, "{variable} {mode}: {told:?}");
    }
}
