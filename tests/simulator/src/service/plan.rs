//! What a delta round contains, decided once when the round begins: which objects, which membership entries, in
//! which slices, on which pages. Rounds after the first cost what changed, not what exists.
//!
//! Whatever liberties are taken, one promise holds: merging all items of all rounds in order, the last word on every
//! object and every edge winning, gives the tenant as it is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use super::view::Projection;
use crate::options::Options;
use crate::tenant::{Change, Fields, ObjectType, Position, Tenant, What};

/// What a chain of rounds is about; fixed by the first call.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) of: ObjectType,
    pub(crate) select: Option<Vec<String>>,
    pub(crate) ids: Vec<Uuid>,
    pub(crate) shown: Projection,
    /// Whether the caller may see the members of groups that hide them.
    sees_hidden: bool,
}

impl Scope {
    pub(crate) fn new(
        of: ObjectType,
        select: Option<Vec<String>>,
        ids: Vec<Uuid>,
        sees_hidden: bool,
    ) -> Self {
        let shown = Projection::lenient(select.as_deref());
        Self { of, select, ids, shown, sees_hidden }
    }

    fn covers(&self, id: Uuid) -> bool {
        self.ids.is_empty() || self.ids.contains(&id)
    }

    fn shows_members_of(&self, tenant: &Tenant, group: Uuid) -> bool {
        let is_open = |group: &crate::tenant::Group| self.sees_hidden || !group.hides_members();
        self.of == ObjectType::Group
            && self.shown.members
            && tenant.group(group).is_none_or(is_open)
    }
}

/// A membership entry of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) member: Uuid,
    /// Known for entries from the history; a member that is purged has no type any more.
    pub(crate) of_type: Option<ObjectType>,
    pub(crate) removed: bool,
}

/// One object on a page, with one slice of its membership entries.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) id: Uuid,
    /// What changed, for minimal answers.
    pub(crate) changed: Fields,
    pub(crate) edges: Vec<Edge>,
}

/// A round.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) scope: Scope,
    /// Never empty; single pages may be.
    pub(crate) pages: Vec<Vec<Item>>,
    /// Where the round began; nothing for a first round.
    pub(crate) since: Option<Position>,
    /// Where the next round will begin.
    pub(crate) until: Position,
    /// Whether only changed properties are shown; decided by the call that began the round.
    pub(crate) minimal: bool,
}

impl Plan {
    /// The round of `$deltatoken=latest`: nothing but a link.
    pub(crate) fn empty(tenant: &Tenant, scope: Scope) -> Self {
        Self { scope, pages: vec![Vec::new()], since: None, until: tenant.now(), minimal: false }
    }

    /// The first round: everything that is live.
    pub(crate) fn first(tenant: &Tenant, scope: Scope, options: &Options) -> Self {
        let until = tenant.now();
        let whole =
            |id| Item { id, changed: Fields::ALL, edges: current_edges(tenant, &scope, id) };
        let items: Vec<Item> = if scope.of == ObjectType::User {
            let live =
                tenant.users().filter(|user| !user.is_deleted()).map(crate::tenant::User::id);
            live.filter(|id| scope.covers(*id)).map(whole).collect()
        } else {
            let live =
                tenant.groups().filter(|group| !group.is_deleted()).map(crate::tenant::Group::id);
            live.filter(|id| scope.covers(*id)).map(whole).collect()
        };
        let mut arranger = Arranger::new(options, until);
        let pages = arranger.arrange(items, scope.of);
        Self { scope, pages, since: None, until, minimal: false }
    }

    /// A later round: what changed since. `None` if the history does not reach back that far.
    pub(crate) fn next(
        tenant: &Tenant,
        scope: Scope,
        since: Position,
        previous: Option<Position>,
        minimal: bool,
        options: &Options,
    ) -> Option<Self> {
        let until = tenant.now();
        let changes = tenant.changes(since, until)?;
        let mut arranger = Arranger::new(options, until ^ since.rotate_left(32));
        let mut items = Vec::new();
        if options.habits.replay > 0.0
            && let Some(old) = previous.and_then(|previous| tenant.changes(previous, since))
        {
            for gathered in gather(tenant, &scope, old, options) {
                if arranger.happens(options.habits.replay) {
                    items.push(gathered.settle(tenant, &scope).1);
                }
            }
        }
        for gathered in gather(tenant, &scope, changes, options) {
            let (earlier, latest) = gathered.settle(tenant, &scope);
            if arranger.happens(options.habits.duplicate) {
                items.extend(earlier);
            }
            items.push(latest);
        }
        let pages = arranger.arrange(items, scope.of);
        Some(Self { scope, pages, since: Some(since), until, minimal })
    }
}

fn current_edges(tenant: &Tenant, scope: &Scope, id: Uuid) -> Vec<Edge> {
    if !scope.shows_members_of(tenant, id) {
        return Vec::new();
    }
    tenant.direct_members(id).map(|member| Edge { member, of_type: None, removed: false }).collect()
}

/// What the history says about one object.
#[derive(Debug, Default)]
struct Gathered {
    id: Uuid,
    changed: Fields,
    /// Created, deleted or brought back.
    life: bool,
    restored: bool,
    edges: Vec<Edge>,
}

impl Gathered {
    fn add(&mut self, what: What) {
        match what {
            What::Created => {
                self.life = true;
                self.changed = Fields::ALL;
            }
            What::Restored => {
                self.life = true;
                self.restored = true;
                self.changed = Fields::ALL;
            }
            What::SoftDeleted | What::Purged => self.life = true,
            What::Updated(fields) => self.changed = self.changed.with(fields),
            What::Joined { member, of_type } => {
                self.edges.push(Edge { member, of_type: Some(of_type), removed: false });
            }
            What::Left { member, of_type, .. } => {
                self.edges.push(Edge { member, of_type: Some(of_type), removed: true });
            }
        }
    }

    /// The item with the last word on every edge, and before it, if there is any, one with the words it overrules.
    fn settle(mut self, tenant: &Tenant, scope: &Scope) -> (Option<Item>, Item) {
        if self.restored {
            // A client that first met the tenant while the group was deleted never saw these members.
            self.edges.extend(current_edges(tenant, scope, self.id));
        }
        let mut spoken = BTreeSet::new();
        let mut latest = Vec::new();
        let mut overruled = Vec::new();
        for edge in self.edges.into_iter().rev() {
            let list = if spoken.insert(edge.member) { &mut latest } else { &mut overruled };
            list.push(edge);
        }
        latest.reverse();
        overruled.reverse();
        let item = |edges| Item { id: self.id, changed: self.changed, edges };
        ((!overruled.is_empty()).then(|| item(overruled)), item(latest))
    }
}

/// The history by object, without what the scope does not show.
fn gather(tenant: &Tenant, scope: &Scope, changes: &[Change], options: &Options) -> Vec<Gathered> {
    let tracked = scope.shown.tracked(scope.of);
    let mut by_id: BTreeMap<Uuid, Gathered> = BTreeMap::new();
    for change in
        changes.iter().filter(|change| change.stream == scope.of && scope.covers(change.id))
    {
        let is_shown = match change.what {
            What::Updated(fields) => fields.meets(tracked),
            What::Left { by_purge: true, .. } if !options.habits.purge_shows_in_groups => false,
            What::Joined { .. } | What::Left { .. } => scope.shows_members_of(tenant, change.id),
            _ => true,
        };
        if is_shown {
            let entry = by_id
                .entry(change.id)
                .or_insert_with(|| Gathered { id: change.id, ..Gathered::default() });
            entry.add(change.what);
        }
    }
    by_id.into_values().collect()
}

/// Makes pages out of items, with the liberties the options ask for.
struct Arranger<'o> {
    options: &'o Options,
    rng: ChaCha8Rng,
}

impl<'o> Arranger<'o> {
    fn new(options: &'o Options, salt: u64) -> Self {
        Self { options, rng: ChaCha8Rng::seed_from_u64(options.seed ^ salt) }
    }

    fn happens(&mut self, share: f64) -> bool {
        share > 0.0 && self.rng.random_bool(share.min(1.0))
    }

    fn arrange(&mut self, items: Vec<Item>, of: ObjectType) -> Vec<Vec<Item>> {
        let mut items = self.slice(items);
        if self.options.habits.shuffle {
            items = self.shuffle(items);
        }
        let sizes = self.options.pages;
        let per_page =
            if of == ObjectType::User { sizes.delta_users } else { sizes.delta_groups }.max(1);
        let mut pages = vec![Vec::new()];
        let mut entries = 0;
        for item in items {
            let page = pages.last_mut().expect("there is always a page");
            let is_full = page.len() == per_page
                || (entries > 0 && entries + item.edges.len() > sizes.delta_members);
            if is_full {
                if self.happens(self.options.habits.empty_pages) {
                    pages.push(Vec::new());
                }
                entries = item.edges.len();
                pages.push(vec![item]);
            } else {
                entries += item.edges.len();
                page.push(item);
            }
        }
        if self.happens(self.options.habits.empty_pages) {
            pages.push(Vec::new());
        }
        pages
    }

    /// Cuts long membership lists; the object itself comes again with every slice. Some items come twice.
    fn slice(&mut self, items: Vec<Item>) -> Vec<Item> {
        let length = self.options.pages.delta_members.max(1);
        let mut sliced = Vec::with_capacity(items.len());
        for item in items {
            if self.happens(self.options.habits.duplicate) {
                push_slices(&mut sliced, item.clone(), length);
            }
            push_slices(&mut sliced, item, length);
        }
        sliced
    }

    /// Any order of objects, while items of the same object keep theirs.
    fn shuffle(&mut self, items: Vec<Item>) -> Vec<Item> {
        let mut order: Vec<Uuid> = items.iter().map(|item| item.id).collect();
        order.shuffle(&mut self.rng);
        let mut queues: BTreeMap<Uuid, VecDeque<Item>> = BTreeMap::new();
        for item in items {
            queues.entry(item.id).or_default().push_back(item);
        }
        order.into_iter().filter_map(|id| queues.get_mut(&id)?.pop_front()).collect()
    }
}

fn push_slices(into: &mut Vec<Item>, item: Item, length: usize) {
    if item.edges.len() <= length {
        into.push(item);
        return;
    }
    let slices = item.edges.chunks(length);
    into.extend(slices.map(|edges| Item {
        id: item.id,
        changed: item.changed,
        edges: edges.to_vec(),
    }));
}
