//! Runs a Graph simulator as a process of its own, for demonstrations and for clients in other languages.

use std::io::Write;
use std::time::Duration;

use clap::Parser;
use graph_simulator::{DeltaHabits, Options, Quota, RetryAfter, Shape, Simulator, generate};

/// A simulated Microsoft Graph directory on loopback.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Seed of the directory and of every arbitrary choice.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of users.
    #[arg(long, default_value_t = 200)]
    users: usize,
    /// Number of groups.
    #[arg(long, default_value_t = 20)]
    groups: usize,
    /// Number of direct memberships of users.
    #[arg(long, default_value_t = 1_000)]
    memberships: usize,
    /// Members of the largest group; 0 lets the skew decide.
    #[arg(long, default_value_t = 0)]
    largest_group: usize,
    /// Share of groups nested in others.
    #[arg(long, default_value_t = 0.1)]
    nesting: f64,
    /// Let some names be such as break careless code.
    #[arg(long)]
    odd_names: bool,
    /// A group that must exist (may be given several times).
    #[arg(long = "group")]
    named_groups: Vec<String>,
    /// A person that must exist (may be given several times).
    #[arg(long = "person")]
    people: Vec<String>,
    /// Resource units per ten seconds; without it nothing is throttled.
    #[arg(long)]
    quota: Option<u32>,
    /// Retry-After of throttled answers in seconds; without it the exact time.
    #[arg(long)]
    retry_after: Option<f64>,
    /// Milliseconds waited before every answer.
    #[arg(long, default_value_t = 0)]
    latency: u64,
    /// Replays, duplicates, empty pages and any order in delta rounds.
    #[arg(long)]
    unruly: bool,
    /// The only client id accepted.
    #[arg(long)]
    client_id: Option<String>,
    /// The only client secret accepted.
    #[arg(long)]
    client_secret: Option<String>,
}

impl Arguments {
    fn shape(&self) -> Shape {
        Shape {
            seed: self.seed,
            users: self.users,
            groups: self.groups,
            memberships: self.memberships,
            largest_group: self.largest_group,
            nesting: self.nesting,
            odd_names: self.odd_names,
            named_groups: self.named_groups.clone(),
            people: self.people.clone(),
            ..Shape::default()
        }
    }

    fn options(&self) -> Options {
        let defaults = Options::default();
        Options {
            port: self.port,
            seed: self.seed,
            quota: Quota {
                units_per_ten_seconds: self.quota,
                retry_after: self.retry_after.map_or(RetryAfter::Exact, RetryAfter::Seconds),
            },
            latency: Duration::from_millis(self.latency),
            habits: if self.unruly { DeltaHabits::UNRULY } else { defaults.habits },
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.clone(),
            tenant_id: uuid::Uuid::nil(),
            ..defaults
        }
    }
}

fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let simulator = Simulator::start(generate(&arguments.shape()), arguments.options())?;
    let mut output = std::io::stdout().lock();
    writeln!(output, "listening on {}", simulator.url())?;
    output.flush()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(tokio::signal::ctrl_c())
}
