//! What earlier runs held, and what people said about it.
//!
//! Pure shapes; how they are stored, hashed and shown is not this module's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::limits::Trip;
use crate::directory::{Evidence, ObjectId, Tombstone, fold_case};
use crate::reconcile::plan::Item;
use crate::reconcile::report::labels;
use crate::reconcile::world::{HandMade, Presence, World, preferred_address};

labels! {
    /// How a user or group ends.
    End {
        /// The account is disabled.
        Disabled = "disabled",
        /// In the deleted container, restorable.
        Deleted = "deleted",
        /// Gone for good.
        Gone = "gone",
    }
}

/// What was seen of the thing that is held: an answer is about that, and a no to a disabled
/// account is none to a deleted one, nor a yes to one row a yes to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// How the user or group ends.
    End(End),
    /// The row that would be adopted, and what hangs on it.
    Row(String),
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End(end) => f.write_str(end.label()),
            Self::Row(row) => f.write_str(row),
        }
    }
}

impl Seen {
    /// What `world` shows of the thing that `item` is about; nothing where nothing but the
    /// item itself could change.
    pub fn of(item: &Item, world: &World) -> Option<Self> {
        let presence = match item {
            Item::User(id) => {
                let user = world.users.get(id)?;
                if user.presence.is_present() && user.facts.enabled == Some(false) {
                    return Some(Self::End(End::Disabled));
                }
                user.presence
            }
            Item::Group(id) => world.groups.get(id)?.presence,
            Item::Adoption(id) => return Some(Self::Row(adopted(*id, world))),
            _ => return None,
        };
        match presence {
            Presence::Present => None,
            Presence::Gone(Tombstone::Soft, _) => Some(Self::End(End::Deleted)),
            Presence::Gone(Tombstone::Hard, _) => Some(Self::End(End::Gone)),
        }
    }
}

/// The row that a user would adopt, and what makes it a person's to say.
fn adopted(id: ObjectId, world: &World) -> String {
    let wished = world.users.get(&id).and_then(|user| preferred_address(&user.facts));
    let wished = wished.map(fold_case).unwrap_or_default();
    let made = world.hand_made.iter().find(|made| fold_case(&made.row.email) == wished);
    made.map_or_else(String::new, |HandMade { row, products }| {
        let products = products.iter().map(|(product, role)| format!(", {role} of {product}"));
        let products: String = products.collect();
        let number = row.id.unwrap_or_default();
        format!("{} (row {number}, role {}{products})", row.email, row.role)
    })
}

/// What an item costs: who loses each product by it, or gains it by a gift. Names, not numbers: an approval is
/// about these people, and not about as many others.
pub type Cost = BTreeMap<String, BTreeSet<ObjectId>>;

/// How many people lose each product.
pub type Losses = BTreeMap<String, u64>;

/// Who let items of a plan through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// The hash of the plan.
    pub plan: String,
    /// The admin's address; who broke the glass where there was no admin.
    pub by: String,
    /// The admin's row; `None` where the glass was broken.
    pub user_id: Option<i32>,
    /// Why, where the glass was broken.
    pub break_glass: Option<String>,
}

/// What people said about a held item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing yet.
    Pending,
    /// That it must not happen.
    Rejected,
    /// That it may.
    Approved(Arc<Approval>),
    /// Nothing, while they approved other items of the same plan, which is over by that.
    LeftOver,
}

/// An item that an earlier run held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldItem {
    /// The hash of the plan that holds it.
    pub plan: String,
    /// Its number in that plan.
    pub number: i32,
    /// What people said.
    pub answer: Answer,
    /// What it cost when it was held: an approval goes no further.
    pub cost: Cost,
    /// How we knew when it was held.
    pub evidence: Option<Evidence>,
    /// What was seen when it was held.
    pub seen: Option<Seen>,
    /// What its plan said would come of it.
    pub outlook: Arc<Outlook>,
}

impl HeldItem {
    /// Whether it is about something else than when it was held.
    pub(super) fn has_changed(&self, item: &Item, world: &World) -> bool {
        self.seen.is_some() && self.seen != Seen::of(item, world)
    }
}

/// What a plan says of products that it would leave without anybody: an approval is about
/// those, and not about others that came to this meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Products that nobody would reach any more.
    pub emptied: BTreeSet<String>,
    /// Products that would have no admin any more.
    pub without_admin: BTreeSet<String>,
}

impl Outlook {
    /// What `trips` say.
    pub fn of(trips: &[Trip]) -> Self {
        let mut outlook = Self::default();
        for trip in trips {
            match trip {
                Trip::ProductEmptied { product, .. } => outlook.emptied.insert(product.clone()),
                Trip::LastAdmin { product } => outlook.without_admin.insert(product.clone()),
                _ => false,
            };
        }
        outlook
    }
}

/// Everything that is held, by item.
pub type Held = BTreeMap<Item, HeldItem>;

/// An item that people let through: whose word it was, and how we knew when it was held.
/// Later runs meet it as a difference only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Whose word it was.
    pub approval: Arc<Approval>,
    /// How we knew.
    pub evidence: Option<Evidence>,
    /// What it was given on.
    pub outlook: Arc<Outlook>,
}

/// An item that this run holds for the first time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewItem {
    /// What it costs.
    pub cost: Cost,
    /// How we know.
    pub evidence: Option<Evidence>,
}

/// What became of an approved item in the run that was to let it through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It was let through.
    Applied,
    /// It was no longer a difference.
    Gone,
    /// It would have cost more than what was approved, leave a product without anybody, or
    /// follows from something that is held.
    Changed,
}

/// Whether an item that costs `now` is still what was approved at `then`.
pub(super) fn still_stands(now: &Cost, then: &Cost) -> bool {
    now.iter().all(|(product, people)| then.get(product).is_some_and(|seen| people.is_subset(seen)))
}
