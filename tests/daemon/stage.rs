//! A tenant, a database, a configuration, and the binary between them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use graph_simulator::{Options, Shape, Tenant, generate, random_edit};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;
use uuid::Uuid;

use crate::process::Daemon;
use crate::support::sql::Sql;
use crate::support::world::{Database, On, TENANT, World};

/// What must never be seen anywhere. Long and odd, so that it cannot occur by chance.
pub const SECRET: &str = "zq7~black-box-client-secret~7qz";
pub const CLIENT: Uuid = Uuid::from_u128(0xb1ac_b0b0_0000_4000_8000_0000_0000_0001);

/// One scenario. Dropped, it shows what was printed if the test failed, and otherwise
/// looks for secrets in it.
pub struct Stage {
    pub world: World,
    dir: TempDir,
    settings: RefCell<BTreeMap<String, String>>,
    printed: Cell<u32>,
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Told {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// A small tenant; the seed decides it.
pub fn small(seed: u64) -> Tenant {
    generate(&Shape { seed, users: 40, groups: 10, memberships: 110, ..Shape::default() })
}

/// The options of a simulator that knows our credential only.
pub fn guarded() -> Options {
    Options {
        client_id: Some(CLIENT.to_string()),
        client_secret: Some(SECRET.to_owned()),
        ..Options::default()
    }
}

impl Stage {
    pub async fn new(on: On, tenant: Tenant) -> Self {
        Self::with(Database::new(on), tenant, guarded()).await
    }

    pub async fn with(database: Database, tenant: Tenant, options: Options) -> Self {
        let world = World::of(database, tenant, options).await;
        let stage = Self {
            dir: tempfile::tempdir().unwrap(),
            settings: RefCell::default(),
            printed: Cell::default(),
            world,
        };
        stage.furnish();
        stage
    }

    /// Everything in scope, no schedule, limits that nothing passes, every line logged.
    fn furnish(&self) {
        let (url, database) = (self.world.simulator.url(), self.world.database.url.clone());
        self.set("graph.endpoint", &url);
        self.set("identity.authority", &url);
        self.set("database.url", &database);
        self.set("identity.tenant_id", TENANT);
        self.set("identity.client_id", &CLIENT.to_string());
        self.set("identity.client_secret", SECRET);
        self.set("http.listen", &format!("127.0.0.1:{}", free_port()));
        for (key, value) in [
            ("log.level", "trace"),
            ("schedule.delta", "off"),
            ("schedule.full", "off"),
            ("scope.groups", "all"),
            ("scope.users", "all"),
            ("graph.backoff_base", "5ms"),
            ("graph.backoff_max", "2s"),
            ("database.connect_timeout", "2s"),
        ] {
            self.set(key, value);
        }
        self.set_raw("scope.include_disabled", "true");
        self.set_raw("graph.retries_max", "2");
        self.set_raw("guard.floor", "1000000");
        for unit in ["users", "groups", "memberships", "access"] {
            self.set_raw(&format!("guard.{unit}_max"), "1000000");
            self.set_raw(&format!("guard.{unit}_window_max"), "1000000");
        }
        for switch in ["keep_reachable", "rehearse"] {
            self.set_raw(&format!("guard.{switch}"), "false");
        }
    }

    /// Sets a text in the configuration file.
    pub fn set(&self, key: &str, value: &str) {
        self.set_raw(key, &format!("{value:?}"));
    }

    /// Sets a value in TOML's own words.
    pub fn set_raw(&self, key: &str, value: &str) {
        self.settings.borrow_mut().insert(key.to_owned(), value.to_owned());
        self.write_config("");
    }

    /// Takes a setting out of the configuration file.
    pub fn unset(&self, key: &str) {
        self.settings.borrow_mut().remove(key);
        self.write_config("");
    }

    /// The configuration file, with `more` at its end.
    pub fn write_config(&self, more: &str) {
        let lines: Vec<String> = self
            .settings
            .borrow()
            .iter()
            .map(|(key, value)| format!("{key} = {value}\n"))
            .collect();
        fs::write(self.path("dirsync.toml"), lines.concat() + more).unwrap();
    }

    /// Writes a registry and names it in the configuration.
    pub fn write_registry(&self, text: &str) -> PathBuf {
        let path = self.path("registry.toml");
        fs::write(&path, text).unwrap();
        self.set("registry.file", &path.display().to_string());
        path
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn listen(&self) -> String {
        self.settings.borrow()["http.listen"].trim_matches('"').to_owned()
    }

    pub fn sql(&self) -> Sql {
        Sql::connect(&self.world.database.url)
    }

    /// Random edits of the tenant; the seed decides them.
    pub fn edit(&self, seed: u64, count: u32) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        self.world.simulator.edit(|tenant| {
            for _ in 0..count {
                random_edit(tenant, &mut rng);
            }
        });
    }

    /// The binary with this stage's configuration and nothing else, its output kept.
    fn prepare(&self, name: &str) -> (Command, PathBuf, PathBuf) {
        let number = self.printed.replace(self.printed.get() + 1);
        let out = self.path(&format!("{number:03}-{name}.out"));
        let err = self.path(&format!("{number:03}-{name}.err"));
        let mut command = binary();
        command
            .arg("--config")
            .arg(self.path("dirsync.toml"))
            .current_dir(self.dir.path())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap());
        (command, out, err)
    }

    /// Starts the daemon and waits until it serves.
    pub async fn start(&self) -> Daemon {
        let daemon = self.spawn();
        daemon.until_serving().await;
        daemon
    }

    /// Starts the daemon; it may end at once.
    pub fn spawn(&self) -> Daemon {
        self.spawn_at(&self.listen(), &[])
    }

    /// The same, serving elsewhere and with more in its environment.
    pub fn spawn_at(&self, listen: &str, env: &[(&str, &str)]) -> Daemon {
        let (mut command, _, err) = self.prepare("run");
        command.env("DIRSYNC__HTTP__LISTEN", listen).envs(env.iter().copied());
        let child = command.arg("run").spawn().unwrap();
        Daemon::new(child, listen, err)
    }

    /// Starts a replica: the daemon under a name and an address of its own, and with what
    /// `environment` sets besides.
    pub async fn replica(&self, name: &str, environment: &[(&str, &str)]) -> Daemon {
        let listen = format!("127.0.0.1:{}", free_port());
        let (mut command, _, err) = self.prepare(name);
        command
            .env("DIRSYNC__HTTP__LISTEN", &listen)
            .env("DIRSYNC__LEADER__INSTANCE", name)
            .envs(environment.iter().copied());
        let daemon = Daemon::new(command.arg("run").spawn().unwrap(), &listen, err);
        daemon.until_serving().await;
        daemon
    }

    /// Starts a command as a child of another program.
    pub fn spawn_under(&self, program: &[&str], args: &[&str]) -> Daemon {
        let (daemon, _, err) = self.prepare(args[0]);
        let mut command = Command::new(program[0]);
        command
            .args(&program[1..])
            .arg(daemon.get_program())
            .args(daemon.get_args())
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::options().append(true).open(&err).unwrap());
        Daemon::new(command.spawn().unwrap(), &self.listen(), err)
    }

    /// Starts any command in the background.
    pub fn begin(&self, args: &[&str]) -> Daemon {
        let (mut command, _, err) = self.prepare(args[0]);
        let child = command.args(args).spawn().unwrap();
        Daemon::new(child, &self.listen(), err)
    }

    /// Runs a command to its end.
    pub async fn tell(&self, args: &[&str]) -> Told {
        self.tell_with(args, &[]).await
    }

    /// The same with what `environment` sets besides.
    pub async fn tell_with(&self, args: &[&str], environment: &[(&str, &str)]) -> Told {
        let (mut command, out, err) = self.prepare(args[0]);
        let child = command.args(args).envs(environment.iter().copied()).spawn().unwrap();
        let mut process = Daemon::new(child, &self.listen(), err.clone());
        let code = process.exit_code().await;
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        Told { code, out: read(&out), err: read(&err) }
    }

    /// Runs a command that must end with 0; its standard output.
    pub async fn ask(&self, args: &[&str]) -> String {
        let told = self.tell(args).await;
        assert_eq!(told.code, 0, "{args:?}: {told:?}");
        told.out
    }

    /// Everything that was printed so far, by file.
    fn printed(&self) -> BTreeMap<String, String> {
        let files = fs::read_dir(self.dir.path()).into_iter().flatten().flatten();
        files
            .map(|file| file.path())
            .filter(|path| path.extension().is_some_and(|kind| kind == "out" || kind == "err"))
            .map(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                (name, fs::read_to_string(path).unwrap_or_default())
            })
            .collect()
    }
}

/// The binary under test, with an empty environment.
pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nexus-dirsync"));
    command.env_clear().stdin(Stdio::null());
    command
}

/// Below the range from which the system hands out ports, so that nobody takes it
/// between this look and the daemon's.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 200).unwrap() * 100;
    (0..20_000)
        .map(|_| 10_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}

impl Drop for Stage {
    fn drop(&mut self) {
        let printed = self.printed();
        if std::thread::panicking() {
            for (name, text) in printed {
                let skipped = text.len().saturating_sub(20_000);
                let tail: String = text.chars().skip(skipped).collect();
                println!("==== {name}\n{tail}");
            }
            return;
        }
        for (name, text) in printed {
            for never in [SECRET, "deltatoken", "skiptoken", "Bearer", "eyJ"] {
                let found = text.lines().find(|line| line.contains(never));
                assert_eq!(found, None, "{never} in {name}");
            }
        }
    }
}

/// Polls until `look` finds something. Fails, naming what was waited for.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let patience = Duration::from_secs(60);
    let waited = tokio::time::timeout(patience, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("{what}: not within {patience:?}"))
}
