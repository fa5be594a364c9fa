//! One token, fetched once, renewed in time, and what happens when it cannot be.

use std::error::Error as _;
use std::sync::Arc;

use graph_simulator::{Effect, Fault, FaultBody, Options, Simulator};
use nexus_dirsync::graph::{
    Directory, Endpoint, Error, IdentityKind, IdentitySettings, SecretSource,
};
use serde_json::json;
use url::Url;

use crate::bench::{Bench, identity, object, settings, status, tenant_of};

const TOKEN: &str = "oauth2/v2.0/token";

fn started(options: Options) -> Simulator {
    Simulator::start(tenant_of(3).0, options).expect("a port")
}

fn connect(simulator: &Simulator, identity: IdentitySettings) -> Directory {
    Directory::connect(settings(simulator), identity, Arc::new(())).expect("good settings")
}

fn tokens_asked(simulator: &Simulator) -> usize {
    simulator.requests().iter().filter(|request| request.target.contains(TOKEN)).count()
}

#[tokio::test]
async fn many_first_requests_share_one_token() {
    let bench = Bench::new(tenant_of(3).0);
    let reads = (0..30).map(|_| bench.directory.list_users());
    assert!(futures::future::join_all(reads).await.into_iter().all(|read| read.is_ok()));
    assert_eq!(bench.requests_to(TOKEN), 1);
}

#[tokio::test]
async fn many_first_requests_share_one_failure() {
    let simulator =
        started(Options { client_secret: Some("right".to_owned()), ..Options::default() });
    let mut settings = settings(&simulator);
    settings.concurrency = 30;
    let directory =
        Directory::connect(settings, identity(&simulator), Arc::new(())).expect("good settings");
    let reads = (0..30).map(|_| directory.list_users());
    assert!(futures::future::join_all(reads).await.into_iter().all(|read| read.is_err()));
    assert_eq!(tokens_asked(&simulator), 1);
}

#[tokio::test]
async fn a_revoked_token_is_replaced_once() {
    let bench = Bench::new(tenant_of(3).0);
    bench.directory.list_users().await.expect("a list");
    bench.simulator.revoke_tokens();
    let reads = (0..10).map(|_| bench.directory.list_users());
    assert!(futures::future::join_all(reads).await.into_iter().all(|read| read.is_ok()));
    assert_eq!(bench.requests_to(TOKEN), 2);
    bench.simulator.revoke_tokens();
    let asked = [object(uuid::Uuid::from_u128(1))];
    bench.directory.users_by_id(&asked).await.expect("users");
    assert_eq!(bench.requests_to(TOKEN), 3);
}

#[tokio::test]
async fn a_token_refused_when_new_is_an_error() {
    let bench = Bench::new(tenant_of(3).0);
    bench.simulator.inject(Fault::on("/users", Effect::Unauthorized));
    let error = bench.directory.list_users().await.expect_err("refused");
    assert!(matches!(&error, Error::Unauthorized(_)), "{error}");
    assert_eq!((bench.requests_to("/users"), bench.requests_to(TOKEN)), (2, 2));
    // Inside a batch as well, and for the whole call: it would hit every other item.
    let asked = [object(uuid::Uuid::from_u128(1))];
    assert!(matches!(bench.directory.users_by_id(&asked).await, Err(Error::Unauthorized(_))));
    assert!(bench.retries().contains(&(Endpoint::Users, "token")));
}

#[tokio::test]
async fn refusals_are_shown_with_code_and_remedy() {
    let table = [
        (401, "AADSTS7000215", "not its id"),
        (401, "AADSTS7000222", "expired"),
        (400, "AADSTS700016", "identity.client_id"),
        (400, "AADSTS90002", "identity.authority"),
        (401, "AADSTS700211", "federated credential"),
        (401, "AADSTS70021", "federated credential"),
        (401, "AADSTS700024", "clock"),
    ];
    let bench = Bench::new(tenant_of(1).0);
    for (code, aadsts, remedy) in table {
        let body =
            json!({"error": "invalid_client", "error_description": format!("{aadsts}: text")});
        let effect =
            Effect::Status { status: code, headers: Vec::new(), body: FaultBody::Json(body) };
        bench.simulator.inject(Fault::on(TOKEN, effect).once());
        let error = bench.directory.list_users().await.expect_err("refused");
        let text = error.to_string();
        assert!(matches!(error, Error::Credential { .. }), "{text}");
        assert!(text.contains(aadsts) && text.contains(remedy), "{text}");
        assert!(error.source().is_some() && !text.contains("s3cr3t"));
    }
}

#[tokio::test]
async fn a_passing_failure_of_the_authority_is_ridden_out_or_named() {
    let bench =
        Bench::with(tenant_of(1).0, Options::default(), |settings| settings.retries_max = 2);
    bench.simulator.inject(Fault::on(TOKEN, status(503, &[])).once());
    bench.directory.list_users().await.expect("a list");
    bench.simulator.revoke_tokens();
    bench.simulator.inject(Fault::on(TOKEN, Effect::Html502));
    let error = bench.directory.list_users().await.expect_err("no token");
    assert!(matches!(&error, Error::Token { .. }), "{error:?}");
}

#[tokio::test]
async fn a_secret_in_a_file_is_read_anew() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "old\n").expect("written");
    let simulator =
        started(Options { client_secret: Some("new".to_owned()), ..Options::default() });
    let mut identity = identity(&simulator);
    identity.client_secret = Some(SecretSource::File(file.path().to_owned()));
    let directory = connect(&simulator, identity);
    let error = directory.list_users().await.expect_err("the old secret");
    assert!(error.to_string().contains("AADSTS7000215"), "{error}");
    std::fs::write(file.path(), "new\n").expect("written");
    directory.list_users().await.expect("the new secret");
    std::fs::remove_file(file.path()).expect("removed");
    simulator.revoke_tokens();
    let error = directory.list_users().await.expect_err("no file");
    assert!(
        matches!(&error, Error::Credential { .. }) && error.to_string().contains("cannot be read"),
        "{error}"
    );
}

#[tokio::test]
async fn trap_40_a_projected_token_is_read_anew() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "stale").expect("written");
    let simulator = started(Options::default());
    let mut identity = identity(&simulator);
    identity.kind = IdentityKind::WorkloadIdentity;
    identity.client_secret = None;
    identity.federated_token_file = Some(file.path().to_owned());
    let directory = connect(&simulator, identity);
    assert!(matches!(directory.list_users().await, Err(Error::Credential { .. })));
    std::fs::write(file.path(), "a.b.c").expect("written");
    directory.list_users().await.expect("a list");
}

#[tokio::test]
async fn a_certificate_proves_the_application() {
    let simulator = started(Options::default());
    let mut identity = identity(&simulator);
    identity.kind = IdentityKind::Certificate;
    identity.client_secret = None;
    identity.certificate_file = Some("tests/graph/fixtures/certificate.pem".into());
    let directory = connect(&simulator, identity);
    directory.list_users().await.expect("a list");
    let ends = directory.credential_expires_at().await.expect("a certificate ends");
    assert_eq!(ends.to_rfc3339(), "2126-10-29T14:29:33+00:00");
}

#[tokio::test]
async fn the_end_of_a_credential_is_known_of_certificates_alone() {
    let simulator = started(Options::default());
    let mut identity = identity(&simulator);
    identity.certificate_file = Some("tests/graph/fixtures/certificate.pem".into());
    assert_eq!(connect(&simulator, identity).credential_expires_at().await, None);
}

#[tokio::test]
async fn settings_that_would_give_secrets_away_are_refused() {
    let simulator = started(Options::default());
    let url = |text: &str| Url::parse(text).expect("a URL");
    let mut far = identity(&simulator);
    far.authority = url("http://login.microsoftonline.com");
    let mut plain = settings(&simulator);
    plain.endpoint = url("http://graph.microsoft.com");
    let outcomes = [
        Directory::connect(settings(&simulator), far, Arc::new(())),
        Directory::connect(plain, identity(&simulator), Arc::new(())),
    ];
    for (outcome, key) in outcomes.into_iter().zip(["identity.authority", "graph.endpoint"]) {
        let error = outcome.expect_err("refused");
        assert!(error.to_string().contains(key), "{error}");
    }
}
