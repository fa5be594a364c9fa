//! This program in another role: one line of JSON in, one line of JSON out.

use std::io::{BufRead, Write};
use std::process::{Child, Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Outcome;

/// Names the role in the environment, so that no flag can be mistaken for it.
const ROLE: &str = "FIRST_RUN_ROLE";

/// The role that this process was started in, if it is a child.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Does what the role is for.
pub(crate) fn play(role: &str) -> Outcome<()> {
    match role {
        "simulator" => crate::service::serve(&input()?),
        "daemon" => output(&crate::daemon::run(&input()?)?),
        "raw" => output(&crate::raw::run(&input()?)?),
        other => Err(format!("no such role: {other}").into()),
    }
}

/// Starts a role and hands it its input; it answers on its standard output.
pub(crate) fn start(role: &str, input: &impl Serialize) -> Outcome<Child> {
    let mut child = Command::new(std::env::current_exe()?)
        .env(ROLE, role)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().ok_or("a child without standard input")?;
    serde_json::to_writer(&mut stdin, input)?;
    stdin.write_all(b"\n")?;
    // Kept open: the simulator serves until it is closed.
    child.stdin = Some(stdin);
    Ok(child)
}

/// Runs a role to its end and returns its answer.
pub(crate) fn run<T: DeserializeOwned>(role: &str, input: &impl Serialize) -> Outcome<T> {
    let done = start(role, input)?.wait_with_output()?;
    if !done.status.success() {
        return Err(format!("the {role} failed: {}", done.status).into());
    }
    Ok(serde_json::from_slice(&done.stdout)?)
}

fn input<T: DeserializeOwned>() -> Outcome<T> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

/// Answers the parent.
pub(crate) fn output(value: &impl Serialize) -> Outcome<()> {
    let mut stdout = std::io::stdout().lock();
    serde_json::to_writer(&mut stdout, value)?;
    stdout.write_all(b"\n")?;
    Ok(stdout.flush()?)
}
