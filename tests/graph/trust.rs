//! Servers that cannot prove who they are, and identities that the machine cannot give.

use std::error::Error as _;
use std::sync::Arc;

use nexus_dirsync::graph::{Directory, Error, IdentityKind, Settings};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use url::Url;

use crate::bench::{Bench, identity, settings, tenant_of};

/// The address of somebody who vouches for himself only.
async fn stranger() -> Url {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("made");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.key_pair.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move { drop(acceptor.accept(stream).await) });
        }
    });
    Url::parse(&format!("https://localhost:{port}")).expect("a URL")
}

#[tokio::test]
async fn an_untrusted_certificate_is_named_with_the_file_to_put_it_into() {
    let bench = Bench::new(tenant_of(1).0);
    let stranger = stranger().await;
    let mut graph = Settings::new(stranger.clone());
    graph.retries_max = 0;
    let directory = Directory::connect(graph, identity(&bench.simulator), Arc::new(()));
    let error = directory.expect("good settings").list_users().await.expect_err("untrusted");
    assert!(matches!(error, Error::Untrusted { .. }), "{error:?}");
    assert!(error.to_string().contains("SSL_CERT_FILE"), "{error}");

    let mut identity = identity(&bench.simulator);
    identity.authority = stranger;
    let mut graph = settings(&bench.simulator);
    graph.retries_max = 0;
    let directory = Directory::connect(graph, identity, Arc::new(())).expect("good settings");
    let error = directory.list_users().await.expect_err("untrusted");
    assert!(matches!(error, Error::Token { .. }), "{error:?}");
    assert!(error.to_string().contains("SSL_CERT_FILE"), "{error}");
}

#[tokio::test]
async fn a_projected_token_that_is_none_is_told_by_its_setting() {
    let bench = Bench::new(tenant_of(1).0);
    let file = tempfile::NamedTempFile::new().expect("a file");
    let mut identity = identity(&bench.simulator);
    identity.kind = IdentityKind::WorkloadIdentity;
    identity.client_secret = None;
    identity.federated_token_file = Some(file.path().to_owned());
    let directory = Directory::connect(settings(&bench.simulator), identity, Arc::new(()));
    let directory = directory.expect("good settings");
    for content in ["", "\n", "not a token", "a.b", "a..c", "<a.b c.d>"] {
        std::fs::write(file.path(), content).expect("written");
        let error = directory.list_users().await.expect_err("no token");
        assert!(matches!(error, Error::Credential { .. }), "{content:?}: {error:?}");
        let told = error.to_string();
        assert!(told.contains("identity.federated_token_file"), "{content:?}: {told}");
        assert!(error.source().is_none(), "{content:?}: nobody was asked");
    }
}
