//! How much may be taken away, and why a removal was found surprising.

use std::fmt;
use std::time::Duration;

use crate::reconcile::report::{Removals, Totals, labels};

labels! {
    /// A unit in which removals are counted and limited.
    Unit {
        /// Users that stop being live, or are purged (in the window only the former).
        Users = "users",
        /// Groups likewise.
        Groups = "groups",
        /// Memberships, links, product memberships and roles taken away.
        Memberships = "memberships",
        /// (user, product) pairs that `product_access` no longer yields, other than by a
        /// user's own end: that is what the limit on users is for.
        Access = "access",
    }
}

impl Unit {
    /// The unit's count.
    pub const fn of(self, removals: Removals) -> u64 {
        match self {
            Self::Users => removals.users,
            Self::Groups => removals.groups,
            Self::Memberships => removals.memberships,
            Self::Access => removals.access,
        }
    }

    const fn total(self, totals: Totals) -> u64 {
        match self {
            Self::Users => totals.users,
            Self::Groups => totals.groups,
            Self::Memberships => totals.memberships,
            Self::Access => totals.access,
        }
    }
}

/// At most so many, and at most so large a share once the floor is passed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowance {
    /// How many.
    pub max: u64,
    /// How many percent of what there is.
    pub percent: f64,
}

/// The limits of one unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// In one run.
    pub run: Allowance,
    /// In all runs of the window together, so that a slow leak is caught too.
    pub window: Allowance,
}

/// All limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// For users.
    pub users: Limit,
    /// For groups.
    pub groups: Limit,
    /// For memberships.
    pub memberships: Limit,
    /// For access, over all products.
    pub access: Limit,
    /// How many percent of its people one product may lose in one run.
    pub product_percent: f64,
    /// The same in all runs of the window together.
    pub product_window_percent: f64,
    /// Up to so many removals of a unit the percentage is not asked: in a small
    /// tenant one leaver is many percent.
    pub floor: u64,
    /// How far back the window reaches.
    pub window: Duration,
    /// By how many percent a product may grow in one run without a finding.
    pub gain_percent: f64,
    /// Whether what makes it grow by more is held, too.
    pub hold_gains: bool,
    /// How many held plans may wait for a person at once.
    pub plans_max: u64,
    /// Whether a product that would lose everybody, or its last admin, is always held.
    pub keep_reachable: bool,
    /// Whether what nobody has seen yet is always held: the first run over existing rows,
    /// the first one with another scope, filters or registry, and what the registry gives up.
    pub rehearse: bool,
}

impl Limits {
    const fn of(&self, unit: Unit) -> Limit {
        match unit {
            Unit::Users => self.users,
            Unit::Groups => self.groups,
            Unit::Memberships => self.memberships,
            Unit::Access => self.access,
        }
    }
}

/// Why something is held.
#[derive(Clone, Debug, PartialEq)]
pub enum Trip {
    /// One run would take away more than it may.
    Run {
        /// The unit whose limit was passed.
        unit: Unit,
        /// What the run takes away.
        removals: u64,
        /// What there is.
        total: u64,
        /// The limit.
        limit: Allowance,
    },
    /// The runs of the window together would.
    Window {
        /// The unit whose limit was passed.
        unit: Unit,
        /// What they take away, this run included.
        removals: u64,
        /// What there is.
        total: u64,
        /// The limit.
        limit: Allowance,
    },
    /// One product would lose a large share of its people.
    Product {
        /// The product.
        product: String,
        /// How many it loses.
        lost: u64,
        /// How many it had.
        people: u64,
        /// The setting that was passed, by its key.
        setting: &'static str,
        /// Its value.
        percent: f64,
    },
    /// Nobody would reach the product any more.
    ProductEmptied {
        /// The product.
        product: String,
        /// How many lose it.
        lost: u64,
    },
    /// The product would have no admin any more.
    LastAdmin {
        /// The product.
        product: String,
    },
    /// A product would be given to more people than it may.
    Surge {
        /// The product.
        product: String,
        /// How many gain it.
        gained: u64,
        /// How many had it.
        people: u64,
        /// The limit, in percent.
        percent: f64,
    },
    /// Something else would have taken its place, but is held.
    Unreplaced,
    /// It follows from something that is held.
    Behind,
    /// What the registry no longer names is only taken away when somebody says so.
    Registry,
    /// The first run over rows that others made takes nothing away unasked.
    FirstRun,
    /// Neither does the first run after a change of scope, filters or registry.
    ScopeChanged,
    /// Something that a person must always be asked.
    Decision,
    /// It was answered, but costs more now than what was approved, or is shown otherwise.
    Changed {
        /// The hash of that plan.
        plan: String,
    },
    /// Left over from a plan of which a person approved another part.
    LeftOver {
        /// The hash of that plan.
        plan: String,
    },
}

impl fmt::Display for Trip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run { unit, removals, total, limit: Allowance { max, percent } } => write!(
                f,
                "{removals} of {} {unit} would be taken away; guard.{unit}_max is {max}, guard.{unit}_percent is {percent}",
                Whole(*unit, *total)
            ),
            Self::Window { unit, removals, total, limit: Allowance { max, percent } } => write!(
                f,
                "{removals} of {} {unit} would be taken away within guard.window; guard.{unit}_window_max is {max}, guard.{unit}_window_percent is {percent}",
                Whole(*unit, *total)
            ),
            Self::Product { product, lost, people, setting, percent } => {
                write!(
                    f,
                    "product {product} would lose {lost} of {people} people; {setting} is {percent}"
                )
            }
            Self::ProductEmptied { product, lost } => {
                write!(f, "product {product} would lose everybody who reaches it ({lost})")
            }
            Self::LastAdmin { product } => write!(f, "product {product} would lose its last admin"),
            Self::Surge { product, gained, people, percent } => write!(
                f,
                "product {product} would be given to {gained} people, where {people} had it; guard.gain_percent is {percent} and guard.hold_gains is set"
            ),
            Self::Unreplaced => f.write_str("what would take its place is held"),
            Self::Behind => f.write_str("what it follows from is held"),
            Self::Registry => f.write_str("the product registry no longer names what it once made"),
            Self::FirstRun => {
                f.write_str("the first run over existing rows takes nothing away unasked")
            }
            Self::ScopeChanged => f.write_str(
                "the first run after a change of scope, filters or registry takes nothing away unasked",
            ),
            Self::Decision => f.write_str("only a person can tell whether this is meant"),
            Self::Changed { plan } => {
                write!(f, "plan {plan} was answered about something else: it would cost more now, or is shown otherwise")
            }
            Self::LeftOver { plan } => {
                write!(f, "left over from plan {plan}, which was approved in part")
            }
        }
    }
}

/// What there is: access is counted no further than it makes a difference.
struct Whole(Unit, u64);

impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(unit, total) = self;
        let words = if *unit == Unit::Access { "at least " } else { "" };
        write!(f, "{words}{total}")
    }
}

/// Judges counts by number and share: empty if all of them may go on, otherwise every
/// limit that is passed. `before` is what the earlier runs of the window took away.
///
/// Monotone: what takes away less than something accepted is accepted.
pub fn judge(removals: Removals, before: Removals, totals: Totals, limits: &Limits) -> Vec<Trip> {
    let mut trips = Vec::new();
    for unit in Unit::ALL {
        let (now, total, limit) = (unit.of(removals), unit.total(totals), limits.of(*unit));
        if now == 0 {
            // What earlier runs took away is gone; nothing more is asked for.
            continue;
        }
        if exceeds(now, total, limit.run, limits.floor) {
            trips.push(Trip::Run { unit: *unit, removals: now, total, limit: limit.run });
        }
        let sum = now + unit.of(before);
        // The share is of what there was when the window began.
        let total = total + unit.of(before);
        if exceeds(sum, total, limit.window, limits.floor) {
            trips.push(Trip::Window { unit: *unit, removals: sum, total, limit: limit.window });
        }
    }
    trips
}

fn exceeds(removals: u64, total: u64, limit: Allowance, floor: u64) -> bool {
    removals > limit.max || is_large_share(removals, total, limit.percent, floor)
}

/// Whether `part` is more than `percent` of `whole`, and worth asking.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
pub(super) fn is_large_share(part: u64, whole: u64, percent: f64, floor: u64) -> bool {
    part > floor && part as f64 * 100.0 > percent * whole.max(1) as f64
}
