//! The demo as a person starts it: the built program, with nothing in its environment.
#![cfg(feature = "demo")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The program with an empty environment, except for where temporary files go.
fn demo(home: &Path, temporary: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nexus-dirsync"));
    command.arg("demo").env_clear().env("TMPDIR", temporary).current_dir(home);
    command
}

fn folders() -> (TempDir, TempDir) {
    (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"))
}

fn is_empty(folder: &Path) -> bool {
    folder.read_dir().expect("the folder is there").next().is_none()
}

#[test]
fn once_shows_a_full_run_and_a_change_and_leaves_nothing_behind() {
    let (home, temporary) = folders();
    let output = demo(home.path(), temporary.path())
        // What the caller configured must not get in, and no proxy is asked the way.
        .env("DIRSYNC__DATABASE__URL", "sqlite:///nowhere/at.all")
        .env("DIRSYNC_CONFIG", "/nowhere/dirsync.toml")
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .env("http_proxy", "http://127.0.0.1:9")
        .arg("--once")
        .output()
        .expect("the program starts");
    let shown = String::from_utf8_lossy(&output.stdout);
    let logged = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{shown}\n{logged}", output.status);
    assert_eq!(logged, "", "nothing to warn of");
    for part in [
        "tenant     3,000 users",
        "First full run",
        "requests ",
        "memberships ",
        "audit rows ",
        "People with access per product",
        "  1  ",
        " joined ",
        " gains ",
        "access: ",
        "audit #",
        "delta run applied: ",
        "users and groups compared, 0 differences.",
        "Shown: 2 runs, 1 change, ",
        " replayed, 0 differences.",
    ] {
        assert!(shown.contains(part), "{part:?} in\n{shown}");
    }
    let widest = shown.lines().map(|line| line.chars().count()).max();
    assert!(widest.is_some_and(|width| width <= 130), "{widest:?}");
    assert!(is_empty(home.path()) && is_empty(temporary.path()));
}

#[test]
fn pages_work_meanwhile_and_a_signal_ends_it_in_order() {
    let (home, temporary) = folders();
    let mut child = demo(home.path(), temporary.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let address = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| Some(line.split_once("http://")?.1.strip_suffix("/readyz")?.to_owned()))
        .expect("the pages are printed");
    // The second change begins after the daemon has followed the first.
    lines.by_ref().map_while(Result::ok).find(|line| line.starts_with("  2  ")).expect("changes");

    assert!(page(&address, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(page(&address, "/metrics").contains("dirsync_changes_total"));
    assert!(page(&address, "/status").contains(r#""leader":true"#));

    assert!(!is_empty(temporary.path()), "the demo's folder is there");
    let (ended, errors) = interrupt(child);
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert!(ended.success(), "{ended}\n{rest:#?}\n{errors}");
    assert_eq!(errors, "", "nothing to warn of");
    let last = rest.last().expect("a last line");
    assert!(last.starts_with("Shown: ") && last.ends_with(" replayed, 0 differences."), "{last}");
    assert!(is_empty(home.path()) && is_empty(temporary.path()));
}

#[test]
fn a_held_plan_is_shown_and_approved() {
    let (home, temporary) = folders();
    let mut child = demo(home.path(), temporary.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    // In this order: it is held, somebody says yes, it is done.
    for part in [
        "delta run held: ",
        "HELD as plan ",
        "people who would lose a product: ",
        "Somebody approves it: ",
        " live -> removed",
        "approval {",
        "delta run applied: ",
    ] {
        let found = lines.by_ref().map_while(Result::ok).find(|line| line.contains(part));
        assert!(found.is_some(), "{part}");
    }
    let (ended, errors) = interrupt(child);
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert!(ended.success(), "{ended}\n{rest:#?}\n{errors}");
    let compared = rest.iter().any(|line| line.ends_with("compared, 0 differences."));
    assert!(compared, "{rest:#?}");
}

/// As Ctrl-C does.
fn interrupt(mut child: Child) -> (std::process::ExitStatus, String) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(pid, Signal::INT).expect("the program still runs");
    let mut errors = String::new();
    let mut from = child.stderr.take().expect("it is piped");
    from.read_to_string(&mut errors).expect("text");
    (child.wait().expect("it ends"), errors)
}

fn page(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the daemon listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
        .expect("the daemon reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the daemon answers");
    answer
}
