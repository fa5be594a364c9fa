//! A faithful Microsoft Graph directory over loopback HTTP.
//!
//! A [`Tenant`] is a directory with a history; a [`Simulator`] serves it the way Microsoft Graph v1.0 does: lists,
//! delta rounds, batches, throttling, token expiry, and on request every way in which the service was seen to fail.
//! It is made for tests, benchmarks and demonstrations. It must never grow features a client could only use here,
//! apart from the control endpoints under `/_control`.
//!
//! ```
//! use graph_simulator::{NewUser, Options, Simulator, Tenant};
//!
//! let mut tenant = Tenant::new();
//! tenant.create_user(NewUser { display_name: "Ada".into(), ..NewUser::default() });
//! let simulator = Simulator::start(tenant, Options::default())?;
//! println!("Graph root: {}/v1.0", simulator.url());
//! # Ok::<(), std::io::Error>(())
//! ```

mod control;
mod fault;
mod generate;
mod options;
mod quota;
mod random;
mod record;
mod server;
mod service;
mod simulator;
mod tenant;
mod token;

pub use fault::{Effect, Expiry, Fault, FaultBody, FaultId};
pub use generate::{Shape, generate};
pub use options::{DeltaHabits, Options, PageSizes, Quota, RetryAfter};
pub use random::{EditKind, random_edit, random_edit_of};
pub use record::{Counters, RequestRecord};
pub use simulator::Simulator;
pub use tenant::{Group, GroupKind, NewGroup, NewUser, ObjectType, OtherKind, Tenant, User};
