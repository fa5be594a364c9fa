//! `resync`: asks for a run, from containers that have no shell and from elsewhere.
//!
//! Signals the daemon of this machine; where there is none, and where it leads others, asks
//! whoever leads through the database. Owns the care that no stranger is signalled: USR1 and
//! USR2 end a process that does not expect them.

use rustix::process::{Pid, Signal, kill_process};

use super::{Context, Exit, ResyncArgs, failed, local, unusable};
use crate::chain::Chain;
use crate::config::Config;
use crate::daemon::Status;
use crate::directory::Mode;
use crate::reconcile::report::Trigger;
use crate::service;
use crate::store::{self, Backend, Store, Verdict};

/// The name of our process, as the kernel tells it: cut off after 15 bytes.
#[cfg(target_os = "linux")]
const COMM: &str = "nexus-dirsync";

/// Asks the daemon for a run.
pub async fn run(context: &Context, args: &ResyncArgs) -> Exit {
    let config = match context.config() {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let mode = if args.full { Mode::Full } else { Mode::Delta };
    let signalled = match local::status(&config.http).await {
        Ok(status) => {
            if status.leader && keep(&config, mode).await {
                return Exit::Done;
            }
            signal(&status, mode).map_err(|error| Chain(&error).to_string())
        }
        Err(error) => Err(Chain(&error).to_string()),
    };
    match signalled {
        Ok(told) => {
            println!("{told}");
            Exit::Done
        }
        Err(why) => {
            eprintln!("{why}; asking through the database");
            through_database(&config, mode).await
        }
    }
}

fn signal(status: &Status, mode: Mode) -> Result<String, SignalError> {
    let Status { pid, leader, leads, .. } = status;
    send(*pid, if mode == Mode::Full { Signal::USR2 } else { Signal::USR1 })?;
    let asked = format!("process {pid} was asked for a {mode} run");
    Ok(match (leader, leads) {
        (true, _) => asked,
        (false, Some(leads)) => format!("{asked}; it stands by and tells {}", leads.instance),
        (false, None) => format!("{asked}; it stands by and tells whoever leads next"),
    })
}

/// Leaves a request for the leader that is here, which dies with what its process alone was
/// told. Whether that is done; an embedded database has no other daemon that could answer.
async fn keep(config: &Config, mode: Mode) -> bool {
    let Ok(store) = service::store(&config.database) else { return false };
    if store.backend() == Backend::Sqlite {
        return false;
    }
    match leave_request(config, &store, mode).await {
        Ok(leader) => tell(leader.as_ref(), mode),
        Err(error) => {
            eprintln!("{}; asking the process", Chain(&error));
            return false;
        }
    }
    true
}

/// Who was asked.
fn tell(leader: Option<&store::Leader>, mode: Mode) {
    match leader {
        Some(leader) => println!("{} was asked for a {mode} run", leader.holder),
        None => println!("nobody leads right now; whoever does next makes a {mode} run"),
    }
}

/// Leaves a request that the leader, or the next one, answers.
async fn through_database(config: &Config, mode: Mode) -> Exit {
    let store = match service::store(&config.database) {
        Ok(store) => store,
        Err(error) => return unusable(&error),
    };
    match leave_request(config, &store, mode).await {
        Ok(_) if store.backend() == Backend::Sqlite => {
            println!("the daemon of this database makes a {mode} run as soon as it runs");
        }
        Ok(leader) => tell(leader.as_ref(), mode),
        Err(error) if error.is_lasting() => return unusable(&error),
        Err(error) => return failed(&error),
    }
    Exit::Done
}

/// Leaves a request; who leads right now, as far as the database can tell.
async fn leave_request(
    config: &Config,
    store: &Store,
    mode: Mode,
) -> Result<Option<store::Leader>, store::Error> {
    let by = config.leader.instance();
    store.ready().await?;
    store.write(move |tx| tx.request_run(mode, Trigger::Command, &by).map(Verdict::Commit)).await?;
    store.read(|tx| tx.leader_now()).await
}

#[derive(Debug, thiserror::Error)]
enum SignalError {
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
