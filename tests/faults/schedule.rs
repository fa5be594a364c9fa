//! What happens in which order, all of it drawn from the seed before anything happens.

use graph_simulator::{Expiry, Fault};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;

use crate::attack;
use crate::proxy::Place;

/// What is asked for by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Delta,
    Full,
}

impl Asked {
    pub const fn signal(self) -> Signal {
        match self {
            Self::Delta => Signal::USR1,
            Self::Full => Signal::USR2,
        }
    }
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Step {
    /// So many random edits of the tenant.
    Edit { seed: u64, count: u32 },
    /// People link one of the groups to a product of theirs.
    Link { pick: usize },
    /// A run, to its end.
    Turn(Asked),
    /// A run, and edits while it reads.
    Rush { asked: Asked, seed: u64, count: u32 },
    /// Graph fails from now on, or lies.
    Fault(Fault),
    /// Graph is well again, with all permissions.
    Heal,
    /// A permission is taken away, and the tokens that carried it.
    Forbid(&'static str),
    /// So many units in ten seconds, and no more.
    Throttle(u32),
    /// All delta links are lost.
    Expire(Expiry),
    /// All access tokens are void.
    Revoke,
    /// The connection to the database breaks there, in a run.
    Cut(Place, Asked),
    /// The database takes no connection while a run is due.
    Refuse(Asked),
    /// The server restarts while a run stands there, or between runs.
    RestartServer(Option<Place>, Asked),
    /// `kill -9` there, in a run; then a new process.
    KillAt(Place, Asked),
    /// `kill -9` while it reads; then a new process.
    KillReading(Asked),
    /// TERM; then a new process.
    Restart,
    /// A second daemon comes, or goes, or is killed.
    Second { killed: bool },
    /// Both daemons are asked at the same time.
    Race(Asked),
    /// Another daemon is asked while one stands there, and may overtake it or has to wait.
    Overtake { place: Place, asked: Asked, waits: bool },
    /// `nexus-dirsync sync` beside the daemon.
    Command { full: bool },
    /// Another configuration, and HUP.
    Reload { page_size: u32 },
    /// A configuration that must be refused, and HUP.
    Misconfigure,
    /// The daemon's clock jumps, by so many seconds from the true time.
    Clock(i64),
}

impl Step {
    /// Whether a daemon does anything about it by itself: nothing is scheduled.
    pub const fn wakes_somebody(&self) -> bool {
        !matches!(
            self,
            Self::Edit { .. }
                | Self::Link { .. }
                | Self::Fault(_)
                | Self::Heal
                | Self::Forbid(_)
                | Self::Throttle(_)
                | Self::Expire(_)
                | Self::Revoke
                | Self::Clock(_)
        )
    }
}

/// What the first run meets, of which everything is new.
#[derive(Clone, Debug)]
pub enum Debut {
    /// Nothing.
    Calm,
    /// Graph fails.
    Fault(Fault),
    /// The connection to the database breaks there.
    Cut(Place),
    /// `kill -9` there; then a new process.
    Kill(Place),
}

impl Debut {
    fn draw(rng: &mut ChaCha8Rng) -> Self {
        match rng.random_range(0..6) {
            0 => Self::Fault(attack::failure(rng)),
            1 => Self::Cut(place(rng)),
            2 => Self::Kill(place(rng)),
            _ => Self::Calm,
        }
    }
}

/// One history.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "five coins that the seed tosses, none a state")]
pub struct Course {
    pub seed: u64,
    /// Graph may fail, but never answers 200 with less than there is: then deltas alone
    /// must keep the database equal to the tenant.
    pub honest: bool,
    /// Limits so low that an ordinary day passes them.
    pub tight: bool,
    /// What gives a product to a few people more is held as well.
    pub grudging: bool,
    /// The whole tenant in scope, or what a link leads to.
    pub everything: bool,
    /// Rounds with replays, duplicates, empty pages.
    pub unruly: bool,
    /// The daemon's clock is ours to move.
    pub clock: bool,
    pub debut: Debut,
    pub steps: Vec<Step>,
}

const STEPS: usize = 16;

impl Course {
    pub fn draw(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut course = Self {
            seed,
            honest: rng.random_bool(0.6),
            tight: rng.random_bool(0.4),
            grudging: ChaCha8Rng::seed_from_u64(seed.reverse_bits()).random_bool(0.3),
            everything: rng.random_bool(0.5),
            unruly: rng.random_bool(0.5),
            clock: rng.random_bool(0.25),
            debut: Debut::draw(&mut ChaCha8Rng::seed_from_u64(!seed)),
            steps: Vec::new(),
        };
        while course.steps.len() < STEPS {
            let step = course.step(&mut rng);
            // What nobody asks about comes to nothing.
            let sleeps = !step.wakes_somebody();
            course.steps.push(step);
            if sleeps && rng.random_bool(0.6) {
                let turn = Step::Turn(asked(&mut rng));
                course.steps.push(turn);
            }
        }
        course
    }

    fn step(&self, rng: &mut ChaCha8Rng) -> Step {
        match rng.random_range(0..100) {
            0..18 => Step::Edit { seed: rng.random(), count: rng.random_range(1..16) },
            18..20 => Step::Link { pick: rng.random_range(0..64) },
            20..26 => {
                let (asked, seed) = (asked(rng), rng.random());
                Step::Rush { asked, seed, count: rng.random_range(1..6) }
            }
            26..40 if !self.honest => Step::Fault(attack::lie(rng)),
            26..40 => Step::Fault(attack::failure(rng)),
            40..44 => Step::Fault(attack::slowness(rng)),
            44..49 => Step::Heal,
            49..52 => Step::Forbid(self.permission(rng)),
            52..53 => Step::Throttle(rng.random_range(20..200)),
            53..56 => Step::Expire(*attack::EXPIRIES.choose(rng).unwrap()),
            56..58 => Step::Revoke,
            58..65 => Step::Cut(place(rng), asked(rng)),
            65..67 => Step::Refuse(asked(rng)),
            67..70 => Step::RestartServer(rng.random_bool(0.7).then(|| place(rng)), asked(rng)),
            70..77 => Step::KillAt(place(rng), asked(rng)),
            77..79 => Step::KillReading(asked(rng)),
            79..81 => Step::Restart,
            81..85 => Step::Second { killed: rng.random_bool(0.5) },
            85..88 => Step::Race(asked(rng)),
            88..91 => {
                let (place, asked) = (place(rng), asked(rng));
                Step::Overtake { place, asked, waits: rng.random_bool(0.6) }
            }
            91..93 => Step::Command { full: rng.random_bool(0.3) },
            93..95 => Step::Reload { page_size: rng.random_range(1..40) },
            95..96 => Step::Misconfigure,
            // Forty days: longer than the retention, shorter than findings are kept. Not so
            // slow, because of `a_removal_that_a_slow_clock_dated_is_purged_too_early`.
            96..100 if self.clock => {
                Step::Clock(rng.random_range(-40..=40_i64).max(-20) * 24 * 3600)
            }
            _ => Step::Turn(asked(rng)),
        }
    }

    /// Without the last of them memberships are not refused but missing.
    fn permission(&self, rng: &mut ChaCha8Rng) -> &'static str {
        let all = ["User.Read.All", "GroupMember.Read.All", "Member.Read.Hidden"];
        let known = if self.honest { &all[..2] } else { &all[..] };
        known.choose(rng).unwrap()
    }
}

/// Every fourth run is a full one.
fn asked(rng: &mut ChaCha8Rng) -> Asked {
    if rng.random_bool(0.25) { Asked::Full } else { Asked::Delta }
}

/// Anywhere in a transaction, and often where it is decided.
fn place(rng: &mut ChaCha8Rng) -> Place {
    match rng.random_range(0..5) {
        0 => Place::BeforeCommit,
        1 => Place::AfterCommit,
        // A delta run sends some thousands of bytes, a full one more.
        _ => Place::Within(1 << rng.random_range(6..16)),
    }
}
