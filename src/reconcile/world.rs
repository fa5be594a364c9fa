//! The two sides of a run, as planning sees them: what was observed and what was decided.
//!
//! Owns the shapes only. Whoever fills a [`World`] promises two things.
//!
//! It is *closed*: of each affected user it holds every direct group, every group above
//! those, with their rows, and every stored membership; of each address that an affected
//! user may hold, claim or give up, every row that holds or claims it; of the registry,
//! the row of each group that it links, binds or may bind, and row and product memberships
//! of each owner likewise; and each admin group with its row, affected or not.
//!
//! Its affected sets are *complete*: what moved or was held; whoever stands, over any
//! number of nested groups, below a group that moved (state, name and how well it was
//! read) or below one whose membership of another moved; whoever has the role `admin` from
//! the daemon, while a finding about an admin group is open; and whoever claims an address
//! that somebody affected holds, until nobody is left to add. Where a set is smaller, the
//! difference waits for the next full run.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::fold::Records;
use super::placeholder::is_placeholder;
use super::report::{FindingKind, labels};
use crate::directory::{Evidence, GroupFacts, ObjectId, Tombstone, UserFacts, fold_case};

/// Whether an observed object exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It does.
    Present,
    /// It does not, and this is how we know.
    Gone(Tombstone, Evidence),
}

impl Presence {
    /// Whether the object exists now.
    pub const fn is_present(self) -> bool {
        matches!(self, Self::Present)
    }
}

/// A user as last observed; of a user that is gone, the properties it last had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedUser {
    /// The properties.
    pub facts: UserFacts,
    /// Whether it exists.
    pub presence: Presence,
}

labels! {
    /// How well the direct members of an observed group are known.
    MemberRead {
        /// Never read: gives nothing.
        Never = "never",
        /// Read to the end once, and followed since.
        Complete = "complete",
        /// The last read failed: removes nothing until it succeeds.
        Stale = "stale",
    }
}

/// A group as last observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedGroup {
    /// The properties.
    pub facts: GroupFacts,
    /// Whether it exists.
    pub presence: Presence,
    /// How well its members are known.
    pub members: MemberRead,
}

labels! {
    /// What the platform shall see of a user or group.
    State {
        /// Counts for access.
        Live = "live",
        /// The account is disabled.
        Disabled = "disabled",
        /// Gone from Azure AD; kept for the retention.
        Removed = "removed",
    }
}

labels! {
    /// The client's `users.role`.
    Role {
        /// Global administrator of the platform.
        Admin = "admin",
        /// Everybody else.
        User = "user",
    }
}

labels! {
    /// The client's `product_members.role`.
    ProductRole {
        /// Full control over product and resources.
        Admin = "admin",
        /// Views and operates on resources.
        Member = "member",
    }
}

/// What the daemon knows of a user beside the client's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Whose row it is.
    pub object_id: ObjectId,
    /// What the platform shall see.
    pub state: State,
    /// Whether it is a guest.
    pub guest: bool,
    /// The address it would have, were it free.
    pub claimed_email: Option<String>,
    /// Whether the daemon gave the role `admin`, which alone may take it back.
    pub admin_granted: bool,
    /// Since when it is removed.
    pub removed_at: Option<DateTime<Utc>>,
}

/// A row of `users`, with its identity where the daemon knows one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    /// `users.id`; absent until apply gives one.
    pub id: Option<i32>,
    /// `users.email`.
    pub email: String,
    /// `users.name`.
    pub name: String,
    /// `users.role`.
    pub role: Role,
    /// `users.created_at`.
    pub created_at: DateTime<Utc>,
    /// `users.updated_at`.
    pub updated_at: DateTime<Utc>,
    /// None for a row made by people.
    pub identity: Option<Identity>,
}

impl UserRow {
    /// The state that counts for access: a row without identity is live.
    pub fn state(&self) -> State {
        self.identity.as_ref().map_or(State::Live, |identity| identity.state)
    }
}

/// A row of `aad_groups`, with its state where the daemon has read the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRow {
    /// `aad_groups.id`; absent until apply gives one.
    pub id: Option<i32>,
    /// Whose row it is; at first `aad_groups.external_id`, parsed.
    pub object_id: ObjectId,
    /// As it stands there: whoever made the row may have written it otherwise.
    pub external_id: String,
    /// `aad_groups.display_name`.
    pub display_name: String,
    /// `aad_groups.created_at`.
    pub created_at: DateTime<Utc>,
    /// `aad_groups.updated_at`.
    pub updated_at: DateTime<Utc>,
    /// None while the daemon has not taken the row over; never `Disabled`.
    pub state: Option<State>,
    /// Since when it is removed.
    pub removed_at: Option<DateTime<Utc>>,
}

impl GroupRow {
    /// Whether people gave it the `external_id` of another group since it was taken over.
    pub fn is_rewritten(&self) -> bool {
        ObjectId::spelled(&self.external_id) != Some(self.object_id)
    }
}

/// A row of `products`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductRow {
    /// `products.id`; absent until apply gives one.
    pub id: Option<i32>,
    /// `products.name`.
    pub name: String,
    /// `products.description`.
    pub description: Option<String>,
    /// `products.created_at`.
    pub created_at: DateTime<Utc>,
    /// `products.updated_at`.
    pub updated_at: DateTime<Utc>,
    /// Whether the registry made it; people's products are never changed.
    pub ours: bool,
}

/// One entry of the product registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryEntry {
    /// The product's unique name.
    pub product: String,
    /// Its description.
    pub description: String,
    /// Groups that give access, by display name.
    pub groups: Vec<String>,
    /// The owner's name.
    pub owner: Option<String>,
}

/// What the registry wants, what it made and what its names are bound to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryWorld {
    /// The entries, or `None` where no registry is configured: then nothing of it is touched.
    pub wanted: Option<Vec<RegistryEntry>>,
    /// Links made by the registry.
    pub links: BTreeSet<(String, ObjectId)>,
    /// Product memberships made by the registry, with their present role.
    pub members: BTreeMap<(String, ObjectId), ProductRole>,
    /// Group names, case folded, and the group each is bound to.
    pub group_bindings: BTreeMap<String, ObjectId>,
    /// Owner keys and the person each is bound to.
    pub owner_bindings: BTreeMap<String, ObjectId>,
    /// Groups that have an asked name now; only names asked in this run are here.
    pub candidates: BTreeMap<String, BTreeSet<ObjectId>>,
    /// Stored live members who are no guests, by the owner keys asked for.
    pub owners: BTreeMap<String, BTreeSet<ObjectId>>,
    /// Who else has the name of an owner, by key. Empty where everybody is in scope: there
    /// rows tell.
    pub namesakes: BTreeMap<String, Namesakes>,
}

/// Live members of the directory, guests aside, who have the name of an owner; with a row or
/// without.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namesakes {
    /// Whether these are all: otherwise they are those whom the run met.
    pub all: bool,
    /// Who.
    pub ids: BTreeSet<ObjectId>,
}

/// Everything a plan is made from. See the module's promise.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Observed users, after folding.
    pub users: BTreeMap<ObjectId, ObservedUser>,
    /// Observed groups, after folding.
    pub groups: BTreeMap<ObjectId, ObservedGroup>,
    /// Direct groups of each member, user or group, after folding; sorted.
    pub parents: BTreeMap<ObjectId, Vec<ObjectId>>,
    /// Rows of users with an identity.
    pub identities: BTreeMap<ObjectId, UserRow>,
    /// Rows of users made by people, whose address matters to somebody affected.
    pub hand_made: Vec<HandMade>,
    /// Rows of groups, taken over or not.
    pub group_rows: BTreeMap<ObjectId, GroupRow>,
    /// Stored effective memberships of the users in play: user, then its groups.
    pub memberships: BTreeMap<ObjectId, BTreeSet<ObjectId>>,
    /// Rows of `products`, by name.
    pub products: BTreeMap<String, ProductRow>,
    /// Every link of `product_aad_groups`: group, then product names.
    pub links: BTreeMap<ObjectId, BTreeSet<String>>,
    /// Product memberships of the users in play: user, then product and role.
    pub product_members: BTreeMap<ObjectId, BTreeMap<String, ProductRole>>,
    /// The product registry.
    pub registry: RegistryWorld,
    /// Users to decide upon.
    pub affected_users: BTreeSet<ObjectId>,
    /// Groups to decide upon.
    pub affected_groups: BTreeSet<ObjectId>,
    /// How many effective members each group has that may stop giving access: groups that
    /// are gone, and groups of links that the registry names no more.
    pub group_sizes: BTreeMap<ObjectId, u64>,
    /// Evidence for edges that this run saw vanish.
    pub edge_evidence: BTreeMap<(ObjectId, ObjectId), Evidence>,
    /// What removals that this run saw rest on, for the audit.
    pub records: Records,
    /// Users that Graph confirmed by id to be gone for longer than the retention.
    pub purge_users: BTreeMap<ObjectId, Purge>,
    /// Groups likewise.
    pub purge_groups: BTreeMap<ObjectId, Purge>,
    /// Findings that are open, with their message.
    pub open_findings: BTreeMap<(FindingKind, String), String>,
}

/// A row of `users` without identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandMade {
    /// The row; `identity` is `None`.
    pub row: UserRow,
    /// Its rows in `product_members`: product and role.
    pub products: BTreeMap<String, ProductRole>,
}

impl HandMade {
    /// Whether access hangs on the row, so that giving it to somebody needs a person.
    pub fn counts(&self) -> bool {
        self.row.role == Role::Admin || !self.products.is_empty()
    }
}

/// A user or group that may be purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purge {
    /// Nothing points to the row.
    Free,
    /// A deployment or an audit entry points to it, so the row stays.
    HeldByHistory,
    /// A table of another service points to it, likewise.
    HeldElsewhere,
}

impl Purge {
    /// Why the row stays; `None` if it does not.
    pub const fn obstacle(self) -> Option<&'static str> {
        match self {
            Self::Free => None,
            Self::HeldByHistory => Some(
                "gone for longer than the retention, but history points to the row, so it stays",
            ),
            Self::HeldElsewhere => Some(
                "gone for longer than the retention, but a table of another service points to the row, so it stays",
            ),
        }
    }
}

/// The settings that decide, apart from limits.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether guests get *new* rows.
    pub include_guests: bool,
    /// Whether disabled accounts get *new* rows.
    pub include_disabled: bool,
    /// Whether only members of groups in scope get new rows.
    pub members_only: bool,
    /// Whether what gives access is told item by item, so that it can be refused.
    pub tell_gifts: bool,
    /// Groups whose members are platform admins; empty means roles are never touched.
    pub admin_groups: BTreeSet<ObjectId>,
    /// The time that changed rows carry.
    pub now: DateTime<Utc>,
    /// The time from which removals are counted: the latest of the clocks that the run has
    /// seen, so that a slow one ages nothing.
    pub removed_at: DateTime<Utc>,
}

/// The address a user should have: its mail, else its UPN (trap 22).
pub fn preferred_address(facts: &UserFacts) -> Option<&str> {
    usable(facts.mail.as_deref()).or_else(|| fallback_address(facts))
}

/// The address a user takes where another holds the one it should have: its UPN.
pub fn fallback_address(facts: &UserFacts) -> Option<&str> {
    usable(facts.upn.as_deref())
}

/// Every address, folded, that a user may claim.
pub fn claims(facts: &UserFacts) -> impl Iterator<Item = String> {
    [usable(facts.mail.as_deref()), fallback_address(facts)].into_iter().flatten().map(fold_case)
}

/// A blank is no address, and a placeholder is nobody's.
fn usable(address: Option<&str>) -> Option<&str> {
    let address = address.map(str::trim);
    address.filter(|address| !address.is_empty() && !is_placeholder(address))
}
