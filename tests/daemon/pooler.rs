//! PgBouncer before the database: refused where sessions do not last, else as good as none.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::stage::{Stage, free_port, small, until};
use crate::support::postgres;
use crate::support::sql::Sql;
use crate::support::world::On;

/// All that work with the database.
const COMMANDS: [&[&str]; 9] = [
    &["run"],
    &["sync"],
    &["migrate"],
    &["migrate", "--check"],
    &["resync"],
    &["plans", "list"],
    &["registry", "check"],
    &["access", "who", "shop"],
    &["audit", "verify"],
];

struct Pooler {
    process: Child,
    port: u16,
    _dir: TempDir,
}

impl Pooler {
    /// `None`, and a line that says so, where PgBouncer is not installed.
    async fn start(mode: &str, settings: &str) -> Option<Self> {
        let places = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];
        let Some(program) = places.iter().find(|place| fs::metadata(place).is_ok()) else {
            println!("SKIPPED: PgBouncer is not installed (Debian: apt-get install pgbouncer)");
            return None;
        };
        let dir = tempfile::Builder::new().prefix("dirsync-pool").tempdir_in("/tmp").unwrap();
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let (socket, port) = (postgres::socket(), free_port());
        let config = format!(
            "[databases]\n* = host={} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\n\
             {settings}\n",
            socket.parent().unwrap().display()
        );
        fs::write(dir.path().join("pgbouncer.ini"), config).unwrap();
        let mut command = Command::new(program);
        if let Some((uid, gid)) = postgres::unprivileged() {
            command.uid(uid).gid(gid);
        }
        command.arg(dir.path().join("pgbouncer.ini")).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap();
        let serves = async || TcpStream::connect(("127.0.0.1", port)).ok().map(drop);
        until("PgBouncer serves", serves).await;
        Some(Self { process, port, _dir: dir })
    }

    /// The stage's database, seen through it.
    fn url(&self, stage: &Stage) -> String {
        let database = stage.world.database.url.rsplit('/').next().unwrap();
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    fn stand_before(&self, stage: &Stage) {
        stage.set("database.url", &self.url(stage));
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn a_pool_without_sessions_is_refused_with_the_remedy() {
    for (mode, settings) in [
        ("transaction", ""),
        ("transaction", "server_round_robin = 1"),
        ("transaction", "default_pool_size = 1\nquery_wait_timeout = 5"),
        ("statement", ""),
    ] {
        let Some(pooler) = Pooler::start(mode, settings).await else { return };
        let stage = Stage::new(On::Postgres, small(130)).await;
        pooler.stand_before(&stage);
        stage.write_registry(
            "[[product]]\nname = \"shop\"\ndescription = \"Shop\"\nenvironment = \"production\"\ngroups = [\"all\"]\n",
        );
        for command in COMMANDS {
            let told = stage.tell(command).await;
            assert_eq!(told.code, 2, "{mode} {settings} {command:?}: {told:?}");
            for part in ["PgBouncer's pool_mode", "database.url", "pool_mode = session"] {
                let place = format!("{mode} {settings} {command:?}");
                assert!(told.err.contains(part), "{place}: {part} in {told:?}");
            }
        }
        let told = stage.tell(&["check"]).await;
        assert_eq!(told.code, 1, "{told:?}");
        assert!(told.out.contains("pool_mode = session"), "{told:?}");
        // Others who use the pool have the server's settings, and not ours.
        let setting = "SELECT current_setting('statement_timeout') AS cell";
        assert_eq!(Sql::connect(&pooler.url(&stage)).cells(setting), ["0"], "{mode} {settings}");
    }
}

#[tokio::test]
async fn a_pool_of_sessions_is_as_good_as_none() {
    let Some(pooler) = Pooler::start("session", "").await else { return };
    let stage = Stage::new(On::Postgres, small(131)).await;
    pooler.stand_before(&stage);
    let mut one = stage.replica("one", &[]).await;
    assert_eq!(one.first_run().await.outcome, "applied");
    let two = stage.replica("two", &[]).await;
    two.until_led_by("one").await;
    stage.edit(131, 10);
    one.kill();
    two.until_leading().await;
    assert_eq!(two.first_run().await.outcome, "applied");
    assert_eq!(two.turn(Signal::USR2).await.outcome, "unchanged");
    stage.ask(&["sync"]).await;
    stage.assert_converged().await;
    two.stop().await;
}
