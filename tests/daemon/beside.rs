//! Several processes on one database: daemons, and commands beside them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::process::Signal;

use crate::killed::Latch;
use crate::stage::{Stage, free_port, small, until};
use crate::support::world::On;

#[tokio::test]
async fn a_second_daemon_is_refused_and_the_first_goes_on() {
    let stage = Stage::new(On::Sqlite, small(95)).await;
    let daemon = stage.start().await;
    daemon.first_run().await;
    let told = stage.tell(&["run"]).await;
    assert_eq!(told.code, 2, "{told:?}");
    assert!(told.err.contains("another daemon works on this database"), "{told:?}");
    assert_eq!(daemon.turn(Signal::USR1).await.outcome, "unchanged");
    daemon.stop().await;
    let next = stage.start().await;
    assert_ne!(next.first_run().await.outcome, "failed", "the lock went with its holder");
    next.stop().await;
}

/// However it is called, it is one database.
#[tokio::test]
async fn a_second_daemon_is_refused_under_any_name_of_the_database() {
    let stage = Stage::new(On::Sqlite, small(99)).await;
    let daemon = stage.start().await;
    daemon.first_run().await;
    let url = stage.world.database.url.clone();
    let file = Path::new(url.strip_prefix("sqlite://").unwrap());
    let folder = file.parent().unwrap();
    let lock = fs::canonicalize(file).unwrap().with_extension("db.lock");
    let holder = format!("another daemon works on this database (it holds {})", lock.display());
    symlink(file, stage.path("soft.db")).unwrap();
    symlink(stage.path("soft.db"), stage.path("softer.db")).unwrap();
    symlink(folder, stage.path("folder")).unwrap();
    let detour = folder.join("..").join(folder.file_name().unwrap()).join("./dirsync.db");
    let hard = file.with_file_name("hard.db");
    for (name, remedy) in [
        (stage.path("soft.db"), holder.as_str()),
        (stage.path("softer.db"), &holder),
        (stage.path("folder").join("dirsync.db"), &holder),
        (detour, &holder),
        (hard.clone(), "leave it one"),
    ] {
        if name == hard {
            fs::hard_link(file, &hard).unwrap();
        }
        let url = format!("sqlite://{}", name.display());
        let listen = format!("127.0.0.1:{}", free_port());
        let other = [("DIRSYNC__DATABASE__URL", &*url), ("DIRSYNC__HTTP__LISTEN", &*listen)];
        let told = stage.tell_with(&["run"], &other).await;
        assert_eq!(told.code, 2, "{}: {told:?}", name.display());
        assert!(told.err.contains(remedy), "{}: {told:?}", name.display());
    }
    assert_eq!(daemon.turn(Signal::USR1).await.outcome, "unchanged");
    daemon.stop().await;
    // Whatever writes under one of two names has a journal that the other one does not know.
    for args in [&["run"][..], &["sync"], &["migrate"], &["audit", "verify"]] {
        let told = stage.tell(args).await;
        assert_eq!(told.code, 2, "{args:?}: {told:?}");
        assert!(told.err.contains("has 2 names"), "{args:?}: {told:?}");
    }
    fs::remove_file(&hard).unwrap();
    stage.set("database.url", &format!("sqlite://{}", stage.path("softer.db").display()));
    let next = stage.start().await;
    assert_ne!(next.first_run().await.outcome, "failed", "one daemon may use any name");
    next.stop().await;
}

#[tokio::test]
async fn commands_work_beside_the_daemon() {
    for on in [On::Sqlite, On::Postgres] {
        let stage = Stage::new(on, small(96)).await;
        let daemon = stage.start().await;
        daemon.first_run().await;
        for args in [
            &["sync"][..],
            &["sync", "--full"],
            &["sync", "--dry-run"],
            &["check"],
            &["migrate", "--check"],
            &["migrate"],
            &["status"],
            &["audit", "verify"],
        ] {
            daemon.signal(Signal::USR1);
            stage.ask(args).await;
        }
        assert_ne!(daemon.turn(Signal::USR1).await.outcome, "failed");
        stage.assert_converged().await;
        daemon.stop().await;
    }
}

/// Whoever comes second reads and plans again; nobody is told to.
#[tokio::test]
async fn two_runs_at_once_both_succeed() {
    let stage = Stage::new(On::Postgres, small(97)).await;
    let mut latch = Latch::close(&stage);
    let mut both = [stage.begin(&["sync"]), stage.begin(&["sync", "--full"])];
    latch.is_reached().await;
    let waits = "SELECT CAST(pid AS text) AS cell FROM pg_locks \
                 WHERE NOT granted AND relation = 'dirsync_cursors'::regclass";
    let mut sql = stage.sql();
    until("the other one waits", async || sql.finds(waits).then_some(())).await;
    latch.open();
    for run in &mut both {
        assert_eq!(run.exit_code().await, 0, "{}", run.printed());
    }
    stage.assert_converged().await;
}

/// A comparison that was overtaken reads and plans again, too.
#[tokio::test]
async fn a_registry_is_compared_beside_a_run_that_commits_first() {
    let stage = Stage::new(On::Postgres, small(98)).await;
    stage.ask(&["sync"]).await;
    stage.write_registry(
        "[[product]]\nname = \"shop\"\ndescription = \"\"\nenvironment = \"production\"\ngroups = []\n",
    );
    stage.edit(98, 10);
    let mut latch = Latch::close(&stage);
    let mut sync = stage.begin(&["sync"]);
    latch.is_reached().await;
    let mut check = stage.begin(&["registry", "check"]);
    let waits = "SELECT CAST(pid AS text) AS cell FROM pg_locks \
                 WHERE NOT granted AND relation = 'dirsync_cursors'::regclass";
    let mut sql = stage.sql();
    until("the comparison waits", async || sql.finds(waits).then_some(())).await;
    latch.open();
    assert_eq!(sync.exit_code().await, 0, "{}", sync.printed());
    assert_eq!(check.exit_code().await, 0, "{}", check.printed());
}
