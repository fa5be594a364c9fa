//! `resync`: signals the running daemon, for containers that have no shell.
//!
//! Owns the care that no stranger is signalled: USR1 and USR2 end a process that does
//! not expect them.

use rustix::process::{Pid, Signal, kill_process};

use super::{Context, Exit, ResyncArgs, local};
use crate::chain::Chain;

/// The name of our process, as the kernel tells it: cut off after 15 bytes.
#[cfg(target_os = "linux")]
const COMM: &str = "nexus-dirsync";

/// Asks the daemon for a run.
pub async fn run(context: &Context, args: &ResyncArgs) -> Exit {
    let config = match context.config() {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let status = match local::status(&config.http).await {
        Ok(status) => status,
        Err(error) => {
            error.tell();
            return Exit::Failed;
        }
    };
    let (signal, mode) = if args.full { (Signal::USR2, "full") } else { (Signal::USR1, "delta") };
    match send(status.pid, signal) {
        Ok(()) if status.leader => println!("process {} was asked for a {mode} run", status.pid),
        Ok(()) => {
            eprintln!("process {} stands by; ask the replica that leads", status.pid);
            return Exit::Failed;
        }
        Err(error) => {
            eprintln!("{}", Chain(&error));
            return Exit::Failed;
        }
    }
    Exit::Done
}

/// Asks the daemon on this machine, if it leads, to read what changed at once.
pub(super) async fn wake(config: &crate::config::Config) -> Result<(), WakeError> {
    let status = local::status(&config.http).await?;
    if !status.leader {
        return Err(WakeError::StandsBy);
    }
    Ok(send(status.pid, Signal::USR1)?)
}

/// Why the daemon was not woken.
#[derive(Debug, thiserror::Error)]
pub(super) enum WakeError {
    #[error("the replica that runs here stands by")]
    StandsBy,
    #[error(transparent)]
    Silent(#[from] local::LocalError),
    #[error(transparent)]
    Signal(#[from] SignalError),
}

#[derive(Debug, thiserror::Error)]
pub(super) enum SignalError {
    #[error(
        "process {0} is not nexus-dirsync; run this where the daemon runs, in the same container"
    )]
    Stranger(u32),
    #[error("signalling process {pid}; run this as the daemon's user")]
    Refused {
        pid: u32,
        #[source]
        source: rustix::io::Errno,
    },
}

fn send(pid: u32, signal: Signal) -> Result<(), SignalError> {
    // Zero and negative numbers mean groups of processes; neither gets through here.
    let target = i32::try_from(pid).ok().filter(|pid| *pid > 0).and_then(Pid::from_raw);
    let target = target.filter(|_| is_ours(pid)).ok_or(SignalError::Stranger(pid))?;
    kill_process(target, signal).map_err(|source| SignalError::Refused { pid, source })
}

/// Whether the process is a nexus-dirsync. The daemon may be in another container and
/// share nothing but the network with us: its number means somebody else here.
#[cfg(target_os = "linux")]
fn is_ours(pid: u32) -> bool {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
    pid != std::process::id() && name.is_ok_and(|name| name.trim_end() == COMM)
}

#[cfg(not(target_os = "linux"))]
fn is_ours(pid: u32) -> bool {
    pid != std::process::id()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_and_groups_of_processes_are_never_signalled() {
        for pid in [0, std::process::id(), u32::MAX] {
            let result = send(pid, Signal::USR1);
            assert!(matches!(result, Err(SignalError::Stranger(refused)) if refused == pid));
        }
    }
}
