//! How a simulated service behaves. Plain data; nothing here acts.

use std::collections::BTreeSet;
use std::time::Duration;

use uuid::Uuid;

/// The resource units a tenant may use in ten seconds, and what a throttled caller is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quota {
    /// Units per ten seconds; `None` never throttles.
    pub units_per_ten_seconds: Option<u32>,
    /// The `Retry-After` header of a throttled answer.
    pub retry_after: RetryAfter,
}

/// The `Retry-After` header of throttled answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RetryAfter {
    /// The time until the bucket holds enough again, with fractions.
    Exact,
    /// Always this many seconds, whole or fractional.
    Seconds(f64),
    /// No such header.
    Absent,
}

impl Quota {
    /// Never throttles.
    pub const NONE: Self = Self { units_per_ten_seconds: None, retry_after: RetryAfter::Exact };
    /// A tenant below 50 users.
    pub const SMALL: Self = Self::of(3_500);
    /// A tenant of 50 to 500 users.
    pub const MEDIUM: Self = Self::of(5_000);
    /// A tenant above 500 users.
    pub const LARGE: Self = Self::of(8_000);

    /// A quota of so many units per ten seconds.
    pub const fn of(units: u32) -> Self {
        Self { units_per_ten_seconds: Some(units), retry_after: RetryAfter::Exact }
    }
}

/// The awkward but legitimate liberties the service takes in delta rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeltaHabits {
    /// Share of the objects of the previous round that is delivered again.
    pub replay: f64,
    /// Share of the objects that occurs more than once within a round.
    pub duplicate: f64,
    /// Share of pages that is preceded by an empty page.
    pub empty_pages: f64,
    /// Whether objects come in arbitrary order; slices of one group keep theirs.
    pub shuffle: bool,
    /// Whether the purge of a member shows in the groups stream. The real service was seen not to tell for long.
    pub purge_shows_in_groups: bool,
}

impl DeltaHabits {
    /// Orderly rounds: everything once, in order, on full pages.
    pub const TIDY: Self = Self {
        replay: 0.0,
        duplicate: 0.0,
        empty_pages: 0.0,
        shuffle: false,
        purge_shows_in_groups: true,
    };
    /// Everything a client must survive, often.
    pub const UNRULY: Self = Self {
        replay: 0.5,
        duplicate: 0.3,
        empty_pages: 0.3,
        shuffle: true,
        purge_shows_in_groups: true,
    };
}

/// The page sizes the server chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSizes {
    /// Users on a page of a users delta.
    pub delta_users: usize,
    /// Groups on a page of a groups delta.
    pub delta_groups: usize,
    /// Member entries on a page of a groups delta, and so in one slice of a group.
    pub delta_members: usize,
    /// Items on a list page without `$top`.
    pub list_default: usize,
    /// The largest `$top`; larger values are an error.
    pub list_max: usize,
}

impl Default for PageSizes {
    fn default() -> Self {
        Self {
            delta_users: 200,
            delta_groups: 100,
            delta_members: 500,
            list_default: 100,
            list_max: 999,
        }
    }
}

/// How a [`Simulator`](crate::Simulator) behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The port to listen on; 0 takes a free one.
    pub port: u16,
    /// The tenant id in tokens; the token endpoint accepts no other unless this is nil.
    pub tenant_id: Uuid,
    /// The only accepted client id, if set.
    pub client_id: Option<String>,
    /// The only accepted client secret, if set.
    pub client_secret: Option<String>,
    /// The application permissions granted. They count at once, also for tokens issued before.
    pub roles: BTreeSet<String>,
    /// How long access tokens live.
    pub access_token_life: Duration,
    /// How long delta tokens live; `None` for ever.
    pub delta_token_life: Option<Duration>,
    /// How long a list page token lives; `None` for ever.
    pub page_token_life: Option<Duration>,
    /// The least number of characters in a page or delta token. Real ones reach 2,500.
    pub token_length: usize,
    /// The throttling limits.
    pub quota: Quota,
    /// Waited before every answer.
    pub latency: Duration,
    /// The page sizes.
    pub pages: PageSizes,
    /// The liberties taken in delta rounds.
    pub habits: DeltaHabits,
    /// Decides every arbitrary choice of the server.
    pub seed: u64,
    /// How many request records are kept; the oldest go first.
    pub keep_requests: usize,
    /// Delta rounds whose pages are kept ready; the page links of older ones have expired.
    pub open_rounds: usize,
}

impl Default for Options {
    fn default() -> Self {
        let roles = ["User.Read.All", "GroupMember.Read.All", "Member.Read.Hidden"];
        Self {
            port: 0,
            tenant_id: Uuid::from_u128(0x5eed_0000_0000_4000_8000_0000_0000_0001),
            client_id: None,
            client_secret: None,
            roles: roles.map(str::to_owned).into(),
            access_token_life: Duration::from_secs(3_599),
            delta_token_life: None,
            page_token_life: None,
            token_length: 160,
            quota: Quota::NONE,
            latency: Duration::ZERO,
            pages: PageSizes::default(),
            habits: DeltaHabits { shuffle: true, ..DeltaHabits::TIDY },
            seed: 0,
            keep_requests: 100_000,
            open_rounds: 16,
        }
    }
}
