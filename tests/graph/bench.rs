//! A simulator, a directory that reads it, and a watcher that remembers what it was told.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use graph_simulator::{Effect, Fault, FaultBody, NewGroup, NewUser, Options, Simulator, Tenant};
use nexus_dirsync::directory::{Member, MemberKind, ObjectId};
use nexus_dirsync::graph::{
    Answer, Directory, Endpoint, IdentityKind, IdentitySettings, Observer, SecretSource, Settings,
};
use url::Url;
use uuid::Uuid;

/// Waits so short that a test never notices them.
pub(crate) const BACKOFF: Duration = Duration::from_millis(4);

/// What the observer was told.
#[derive(Default)]
pub(crate) struct Watch {
    pub(crate) answers: Mutex<Vec<Answer>>,
    pub(crate) retries: Mutex<Vec<(Endpoint, &'static str)>>,
    pub(crate) ratios: Mutex<Vec<f64>>,
}

impl Observer for Watch {
    fn answered(&self, answer: &Answer) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).push(*answer);
    }
    fn retried(&self, endpoint: Endpoint, reason: &'static str) {
        self.retries.lock().unwrap_or_else(PoisonError::into_inner).push((endpoint, reason));
    }
    fn waited(&self, _: f64) {}
    fn throttle_ratio(&self, ratio: f64) {
        self.ratios.lock().unwrap_or_else(PoisonError::into_inner).push(ratio);
    }
}

pub(crate) struct Bench {
    pub(crate) simulator: Simulator,
    pub(crate) directory: Directory,
    pub(crate) watch: Arc<Watch>,
}

impl Bench {
    pub(crate) fn new(tenant: Tenant) -> Self {
        Self::with(tenant, Options::default(), |_| {})
    }

    pub(crate) fn with(
        tenant: Tenant,
        options: Options,
        adjust: impl FnOnce(&mut Settings),
    ) -> Self {
        let simulator = Simulator::start(tenant, options).expect("a port");
        let mut settings = settings(&simulator);
        adjust(&mut settings);
        let watch = Arc::new(Watch::default());
        let observer: Arc<dyn Observer> = watch.clone();
        let directory =
            Directory::connect(settings, identity(&simulator), observer).expect("good settings");
        Self { simulator, directory, watch }
    }

    /// The Graph root of the simulator.
    pub(crate) fn root(&self) -> String {
        format!("{}/v1.0", self.simulator.url())
    }

    /// A 200 with this JSON on every request whose target matches.
    pub(crate) fn answer(&self, path: impl Into<String>, body: serde_json::Value) {
        let effect =
            Effect::Status { status: 200, headers: Vec::new(), body: FaultBody::Json(body) };
        self.simulator.inject(Fault::on(path, effect));
    }

    /// Requests to targets that contain this.
    pub(crate) fn requests_to(&self, part: &str) -> usize {
        self.simulator.requests().iter().filter(|request| request.target.contains(part)).count()
    }

    pub(crate) fn retries(&self) -> Vec<(Endpoint, &'static str)> {
        self.watch.retries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(crate) fn settings(simulator: &Simulator) -> Settings {
    let mut settings = Settings::new(Url::parse(&simulator.url()).expect("a URL"));
    settings.backoff_base = BACKOFF;
    settings.backoff_max = Duration::from_millis(200);
    settings.retries_max = 4;
    settings.request_timeout = Duration::from_secs(20);
    settings
}

pub(crate) fn identity(simulator: &Simulator) -> IdentitySettings {
    let authority = Url::parse(&simulator.url()).expect("a URL");
    let tenant = simulator.options().tenant_id.to_string();
    let mut identity = IdentitySettings::new(IdentityKind::ClientSecret, authority, tenant, "app");
    identity.client_secret = Some(SecretSource::Inline("s3cr3t".to_owned().into()));
    identity
}

/// A status with headers, once or more.
pub(crate) fn status(code: u16, headers: &[(&str, &str)]) -> Effect {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let body = FaultBody::Error("Injected".to_owned());
    Effect::Status { status: code, headers: headers.collect(), body }
}

pub(crate) fn object(id: Uuid) -> ObjectId {
    ObjectId::new(id)
}

pub(crate) fn user(id: Uuid) -> Member {
    Member { id: object(id), kind: MemberKind::User }
}

pub(crate) fn group(id: Uuid) -> Member {
    Member { id: object(id), kind: MemberKind::Group }
}

/// A tenant with so many users called `User 0`, `User 1`, …; their ids.
pub(crate) fn tenant_of(users: usize) -> (Tenant, Vec<Uuid>) {
    let mut tenant = Tenant::new();
    let ids = (0..users)
        .map(|number| {
            tenant.create_user(NewUser {
                display_name: format!("User {number}"),
                mail: Some(format!("user{number}@contoso.com")),
                account_enabled: Some(true),
                user_type: Some("Member".to_owned()),
                ..NewUser::default()
            })
        })
        .collect();
    (tenant, ids)
}

/// A new group with these members.
pub(crate) fn group_of(tenant: &mut Tenant, name: &str, members: &[Uuid]) -> Uuid {
    let group =
        tenant.create_group(NewGroup { display_name: name.to_owned(), ..NewGroup::default() });
    for member in members {
        assert!(tenant.add_member(group, *member));
    }
    group
}
