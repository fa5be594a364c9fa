//! Keeps what the process holds in memory from leaving it in a core dump.
//!
//! Tokens, the client secret and the database's password are in there for as long as
//! the process lives.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};

/// Forbids core dumps, now and for children; on Linux also that another process of the
/// same user reads the memory or the environment of this one.
pub(super) fn keep_private() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}
