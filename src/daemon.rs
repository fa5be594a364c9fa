//! Many runs: what wakes them, how they follow one another, how the process ends.
//!
//! Owns the life of the daemon. Must not know what a run does ([`Runner`]), nor the
//! database, nor Graph.

mod audit;
mod board;
mod clock;
mod heartbeat;
mod lead;
mod life;
mod orphans;
mod requests;
mod schedule;
mod shutdown;
mod signals;
mod status;
mod supervise;
mod turns;

pub use audit::{Verified, Verify};
pub use board::Board;
pub use clock::Clock;
pub use heartbeat::Heartbeat;
pub use lead::{Elect, Lead, Leader};
pub use life::{Daemon, DaemonError, Opening};
pub use requests::{Request, Requests};
pub use schedule::{Follower, Ticker, Timetable};
pub use shutdown::{Shutdown, Stopped, Stopper};
pub use signals::Signals;
pub use status::{AuditStatus, ConfigStatus, Counts, Running, Status};
pub use supervise::{Ended, Supervisor};
pub use turns::{Apply, Load, Recall, Refusal, Runner, Turns};
