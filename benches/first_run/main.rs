//! What a first run costs beside a raw client, and what a delta run touches.
//!
//! ```sh
//! cargo bench --bench first_run              # the full shape: some minutes
//! cargo bench --bench first_run -- --small   # a smoke test: counts are judged, times are not
//! ```
//!
//! Needs PostgreSQL's server programs (see `tests/support/postgres.rs`) and nothing else.
//!
//! Times are never judged by themselves but against a raw client of the same
//! invocation: the same requests in the same number at once over kept connections,
//! bodies thrown away, and COPY of the very rows that the daemon wrote into an equal,
//! empty schema. What machine it is, and what else it does, so falls out.
//!
//! Simulator, daemon and raw client are processes of their own: this program starts
//! itself in another role, so that the peak memory reported is the daemon's alone.
//!
//! Prints the figures and one line for each goal; ends with 1 if a goal is missed.

#[path = "../../tests/support/postgres.rs"]
#[allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "tests use more of it")]
mod postgres;

mod child;
mod daemon;
mod database;
mod delta;
mod edits;
mod first;
mod goals;
mod raw;
mod service;
mod table;

use clap::{Parser, ValueEnum};
use graph_simulator::Shape;

use goals::Goals;

/// Any error ends the benchmark; its text is all that matters.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures first runs and delta runs against the goals.
#[derive(Debug, Parser)]
struct Arguments {
    /// A fiftieth of the directory; times are printed but not judged.
    #[arg(long)]
    small: bool,
    /// How often a first run without latency is measured; the best of each side counts.
    #[arg(long, default_value_t = 2)]
    repeats: u32,
    /// Only this experiment.
    #[arg(long)]
    only: Option<Experiment>,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Experiment {
    /// A first run without latency: what the daemon's own code costs.
    Cost,
    /// A first run with latency and quota: what a real one costs.
    Latency,
    /// Delta runs: what they read and write.
    Delta,
}

impl Arguments {
    fn does(&self, experiment: Experiment) -> bool {
        self.only.is_none_or(|only| only == experiment)
    }

    /// The directory that the goals speak of, or a fiftieth of it.
    fn shape(&self) -> Shape {
        let share = if self.small { 50 } else { 1 };
        Shape {
            users: 100_000 / share,
            groups: 5_000 / share,
            memberships: 500_000 / share,
            largest_group: 25_000 / share,
            ..Shape::default()
        }
    }
}

fn main() -> Outcome<()> {
    if let Some(role) = child::role() {
        return child::play(&role);
    }
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let goals = runtime.block_on(measure(&arguments))?;
    print!("{goals}");
    if goals.are_met() { Ok(()) } else { std::process::exit(1) }
}

async fn measure(arguments: &Arguments) -> Outcome<Goals> {
    let mut goals = Goals::new(!arguments.small);
    let shape = arguments.shape();
    println!(
        "{} users, {} groups, {} memberships, largest group {}; PostgreSQL, scope all\n",
        shape.users, shape.groups, shape.memberships, shape.largest_group
    );
    let cluster = postgres::Cluster::start();
    if arguments.does(Experiment::Cost) {
        first::cost(&cluster, &shape, arguments.repeats, &mut goals).await?;
    }
    if arguments.does(Experiment::Latency) {
        first::latency(&cluster, &shape, &mut goals).await?;
    }
    if arguments.does(Experiment::Delta) {
        delta::touches(&cluster, &shape, &mut goals).await?;
    }
    Ok(goals)
}
