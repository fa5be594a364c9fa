//! Which seeds are lived, by how many workers, and what is told about them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::life::{Figures, Life, Story, faketime};
use crate::schedule::Course;
use crate::support::postgres::Cluster;

/// Seeds that are lived unless somebody asks for others.
const SEEDS: u64 = 30;
/// Seeds beyond those that told of a defect: 360 of a recovery that was judged while an
/// approval was still to be carried out; 5195 of a newcomer who gets no row, because others
/// have both addresses.
const PINNED: [u64; 2] = [360, 5195];
/// A history that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(600);
/// More of them would only wait for each other.
const WORKERS_MAX: usize = 4;

/// A number from the environment.
fn asked(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, which is no number")))
}

fn seeds() -> Vec<u64> {
    if let Some(seed) = asked("DIRSYNC_SEED") {
        return vec![seed];
    }
    let first = asked("DIRSYNC_SEED_FIRST").unwrap_or(1);
    let drawn = first..first + asked("DIRSYNC_SEEDS").unwrap_or(SEEDS);
    let pinned = PINNED.into_iter().filter(|seed| !drawn.contains(seed));
    drawn.clone().chain(pinned).collect()
}

/// What became of many histories.
#[derive(Default)]
struct Outcome {
    lived: usize,
    figures: Figures,
    failed: BTreeMap<u64, String>,
}

#[test]
fn whatever_happens_nobody_loses_access_and_the_truth_comes_back() {
    let seeds = seeds();
    println!("{} seeds, from {} on", seeds.len(), seeds[0]);
    if faketime().is_none() {
        println!("no clock is moved: libfaketime is not installed (Debian: libfaketime)");
    }
    let started = Instant::now();
    let outcome = live_all(&seeds);
    for (what, count) in &outcome.figures {
        println!("{count:6} {what}");
    }
    println!("{} seeds in {:.0} s", seeds.len(), started.elapsed().as_secs_f64());
    for (seed, story) in &outcome.failed {
        println!("==== seed {seed} failed; DIRSYNC_SEED={seed} lives it again\n{story}");
    }
    let failed: Vec<&u64> = outcome.failed.keys().collect();
    assert!(failed.is_empty(), "seeds {failed:?} failed");
}

/// Lives these seeds, side by side.
fn live_all(seeds: &[u64]) -> Outcome {
    let next = AtomicUsize::new(0);
    let outcome = Mutex::<Outcome>::default();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores.min(WORKERS_MAX).min(seeds.len()) {
            thread::Builder::new()
                .spawn_scoped(scope, || {
                    let mut cluster = None;
                    while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let lived = live(*seed, &mut cluster);
                        let mut outcome = outcome.lock().unwrap();
                        outcome.lived += 1;
                        if outcome.lived.is_multiple_of(50) {
                            println!("{} of {} seeds", outcome.lived, seeds.len());
                        }
                        match lived {
                            Ok(figures) => {
                                for (what, count) in figures {
                                    *outcome.figures.entry(what).or_default() += count;
                                }
                            }
                            Err(story) => {
                                outcome.failed.insert(*seed, story);
                            }
                        }
                    }
                })
                .unwrap();
        }
    });
    outcome.into_inner().unwrap()
}

/// Lives one history to its end, or tells how far it came. After a failure the worker's
/// cluster is in an unknown state, and is given up.
fn live(seed: u64, cluster: &mut Option<Cluster>) -> Result<Figures, String> {
    let story = Story::default();
    let mut own = cluster.take().unwrap_or_else(Cluster::start);
    let telling = Arc::clone(&story);
    let lived = thread::scope(|scope| {
        let life = thread::Builder::new().name(format!("seed {seed}"));
        life.spawn_scoped(scope, || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let course = Course::draw(seed);
                let whole = history(&course, &mut own, telling);
                tokio::time::timeout(PATIENCE, whole).await.expect("the history hangs")
            })
        })
        .unwrap()
        .join()
    });
    match lived {
        Ok(figures) => {
            *cluster = Some(own);
            // Whoever asks for one seed wants to see it.
            if asked("DIRSYNC_SEED").is_some() {
                println!("{}", story.lock().unwrap().join("\n"));
            }
            Ok(figures)
        }
        Err(panic) => {
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            let story = story.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            Err(format!("{}\n{}", story.join("\n"), words.unwrap_or_default()))
        }
    }
}

/// A history: things go wrong, then they do not any more.
pub async fn history(course: &Course, cluster: &mut Cluster, story: Story) -> Figures {
    let Course { seed, honest, tight, grudging, everything, unruly, clock, debut: _, steps } =
        course;
    story.lock().unwrap().push(format!(
        "seed {seed}: honest {honest}, tight {tight}, grudging {grudging}, everything {everything}, unruly {unruly}, clock {clock}"
    ));
    let mut life = Life::begin(course, cluster, story).await;
    for step in steps {
        life.take(step).await;
    }
    life.assert_recovers().await;
    life.end().await
}
