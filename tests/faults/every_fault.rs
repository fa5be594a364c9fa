//! Every kind of fault on every kind of request, one after the other.

use graph_simulator::{Effect, Fault};

use crate::attack::{LISTS, MEMBERSHIPS, PATHS, STREAMS, failures, lies};
use crate::life::{Story, faketime};
use crate::schedule::{Asked, Course, Debut, Step};
use crate::seeds::history;
use crate::support::postgres::Cluster;

/// A course of which only Graph is to be feared.
fn plain(honest: bool, everything: bool) -> Course {
    let (tight, unruly, clock) = (false, true, false);
    let debut = Debut::Calm;
    Course {
        seed: 27,
        honest,
        tight,
        grudging: false,
        everything,
        unruly,
        clock,
        debut,
        steps: Vec::new(),
    }
}

/// A history in which nothing but these faults happens, each for one run.
async fn befall(
    honest: bool,
    asked: Asked,
    everything: bool,
    faults: impl IntoIterator<Item = Fault>,
) {
    let mut steps = Vec::new();
    for (seed, fault) in (0..).zip(faults) {
        let edit = Step::Edit { seed, count: 2 };
        steps.extend([edit, Step::Fault(fault), Step::Turn(asked), Step::Heal]);
    }
    live(Course { steps, ..plain(honest, everything) }).await;
}

async fn live(course: Course) {
    let story = Story::default();
    let _told = Telling(Story::clone(&story));
    history(&course, &mut Cluster::start(), story).await;
}

/// Tells the story if the test fails.
struct Telling(Story);

impl Drop for Telling {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!(
                "{}",
                self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).join("\n")
            );
        }
    }
}

/// Every failure on a quarter of all requests, another one each time; the seeds draw the rest.
fn failing(quarter: usize) -> impl Iterator<Item = Fault> {
    let all =
        failures().into_iter().flat_map(|effect| PATHS.map(|path| Fault::on(path, effect.clone())));
    all.skip(quarter).step_by(4)
}

/// The lies on some requests.
fn lying(paths: &[&str]) -> impl Iterator<Item = Fault> {
    lies().into_iter().filter(|fault| paths.contains(&fault.path.as_str()))
}

#[tokio::test]
async fn failures_of_delta_runs() {
    befall(true, Asked::Delta, false, failing(0)).await;
}

#[tokio::test]
async fn failures_of_full_runs() {
    befall(true, Asked::Full, true, failing(1)).await;
}

#[tokio::test]
async fn lies_in_rounds() {
    befall(false, Asked::Delta, true, lying(&STREAMS)).await;
}

#[tokio::test]
async fn lies_in_lists() {
    befall(false, Asked::Full, false, lying(&LISTS)).await;
}

#[tokio::test]
async fn lies_about_members() {
    for everything in [false, true] {
        befall(false, Asked::Full, everything, lying(&MEMBERSHIPS)).await;
    }
}

/// The token that a run begins with shows hidden members, and the one that it ends with
/// does not: what the first promised says nothing about what the second read.
#[tokio::test]
async fn a_permission_that_goes_while_a_run_reads() {
    let steps = vec![Step::Forbid("Member.Read.Hidden"), Step::Turn(Asked::Full)];
    live(Course { steps, ..plain(false, true) }).await;
}

/// What a cursor that is ahead of the data looks like: the checks see it.
#[tokio::test]
#[should_panic(expected = "a full run found what deltas missed")]
async fn a_change_that_deltas_missed_is_noticed() {
    let steps = vec![
        Step::Edit { seed: 1, count: 8 },
        Step::Fault(Fault::on("deltatoken", Effect::EmptyOk)),
        Step::Turn(Asked::Delta),
        Step::Heal,
    ];
    live(Course { steps, ..plain(true, true) }).await;
}

/// What was removed by a clock forty days slow is not purged as soon as the clock is right
/// again: its retention begins when Graph says that it did.
#[tokio::test]
async fn a_removal_that_a_slow_clock_dated_waits_for_its_retention() {
    if faketime().is_none() {
        println!("skipped: no clock can be moved here (libfaketime)");
        return;
    }
    let edit = Step::Edit { seed: 1, count: 150 };
    let steps = vec![Step::Clock(-40 * 24 * 3600), edit, Step::Turn(Asked::Delta)];
    live(Course { clock: true, steps, ..plain(true, true) }).await;
}
