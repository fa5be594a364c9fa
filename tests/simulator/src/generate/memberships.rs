//! Who is in which group: a few huge groups, many small ones, some nesting. Only edges are made here.

use rand::Rng;
use rand::seq::{IndexedRandom, index};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use super::Shape;
use crate::tenant::Tenant;

/// Members a named group gets at least, if there are users.
const NAMED_MINIMUM: usize = 3;

/// Puts users into groups.
pub(super) fn fill(
    shape: &Shape,
    tenant: &mut Tenant,
    rng: &mut ChaCha8Rng,
    users: &[Uuid],
    groups: &[Uuid],
) {
    if users.is_empty() || groups.is_empty() {
        return;
    }
    let named = shape.named_groups.len();
    for (rank, size) in sizes(shape, users.len(), groups.len()).into_iter().enumerate() {
        // The largest groups come last, so that named groups, which come first, are of everyday size.
        let group = groups[groups.len() - 1 - rank];
        for user in index::sample(rng, users.len(), size) {
            tenant.add_member(group, users[user]);
        }
    }
    for group in &groups[..named] {
        let missing = NAMED_MINIMUM.saturating_sub(tenant.direct_members(*group).count());
        for user in index::sample(rng, users.len(), missing.min(users.len())) {
            tenant.add_member(*group, users[user]);
        }
    }
    for person in &users[..shape.people.len()] {
        for group in groups[..named].choose_multiple(rng, named.div_ceil(2)) {
            tenant.add_member(*group, *person);
        }
    }
}

/// Group sizes from the largest down: the share of a group falls with its rank.
fn sizes(shape: &Shape, users: usize, groups: usize) -> Vec<usize> {
    let largest = shape.largest_group.min(users);
    let fixed = usize::from(largest > 0);
    let mut left = shape.memberships.saturating_sub(largest);
    let mut sizes = vec![largest; fixed];
    let ceiling = if largest > 0 { largest } else { users };
    let mut shares: f64 = (fixed..groups).map(share).sum();
    for rank in fixed..groups {
        let wanted = as_count(as_real(left) * share(rank) / shares);
        shares -= share(rank);
        let size = wanted.min(ceiling).min(left);
        left -= size;
        sizes.push(size);
    }
    sizes
}

/// Falls off with the rank, a little slower than Zipf's law.
fn share(rank: usize) -> f64 {
    1.0 / (as_real(rank) + 2.0).powf(0.9)
}

#[expect(clippy::cast_precision_loss, reason = "directories have far fewer than 2^52 memberships")]
fn as_real(count: usize) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shares of a count are small and positive"
)]
fn as_count(real: f64) -> usize {
    real.round() as usize
}

/// Puts groups into groups: chains at random, one diamond, one cycle.
pub(super) fn nest(shape: &Shape, tenant: &mut Tenant, rng: &mut ChaCha8Rng, groups: &[Uuid]) {
    let count = as_count(as_real(groups.len()) * shape.nesting.clamp(0.0, 1.0));
    if count == 0 || groups.len() < 2 {
        return;
    }
    for _ in 0..count {
        let inner = rng.random_range(0..groups.len());
        let outer = rng.random_range(0..groups.len());
        // Downwards only, so that the one cycle below is the only one.
        if inner != outer {
            tenant.add_member(groups[inner.min(outer)], groups[inner.max(outer)]);
        }
    }
    if let [top, left, right, .., bottom] = *groups {
        for (outer, inner) in [(top, left), (top, right), (left, bottom), (right, bottom)] {
            tenant.add_member(outer, inner);
        }
        tenant.add_member(left, right);
        tenant.add_member(right, left);
    }
}
