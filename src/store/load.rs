//! Reads the observed side: cursor, objects, edges; whole, or for given ids.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::bulk::IDS_MAX;
use super::connection::Conn;
use super::lookup::load_groups;
use super::rows::{EdgeRow, ObservedGroupRow, ObservedUserRow, presence_of};
use super::schema::{
    aad_groups, dirsync_aad_groups, dirsync_cursors, dirsync_observed_edges,
    dirsync_observed_groups, dirsync_observed_users, product_aad_groups,
};
use super::types::{Id, Time};
use super::{Doing, Error, Tx};
use crate::directory::{Cursor, DeltaLink, Member, MemberKind, Members, ObjectId, fold_case};
use crate::reconcile::fold::{Observed, Part};
use crate::reconcile::report::FindingKind;
use crate::reconcile::world::{MemberRead, ObservedGroup, ObservedUser, Presence};

/// Which objects to read.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// All of them.
    All,
    /// These.
    Ids(&'a BTreeSet<ObjectId>),
}

/// Runs `query` for slices of `ids` that fit into one statement.
pub(super) fn in_slices<T>(
    ids: impl IntoIterator<Item = ObjectId>,
    mut query: impl FnMut(Vec<Id>) -> QueryResult<Vec<T>>,
) -> QueryResult<Vec<T>> {
    let ids: Vec<Id> = ids.into_iter().map(Id::from).collect();
    let mut rows = Vec::new();
    for slice in ids.chunks(IDS_MAX) {
        rows.extend(query(slice.to_vec())?);
    }
    Ok(rows)
}

/// Where the last run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorRow {
    /// Counts commits.
    pub generation: i64,
    /// The tenant the database belongs to.
    pub tenant_id: String,
    /// The Graph endpoint the links are of.
    pub endpoint: String,
    /// The query and scope the links are of.
    pub fingerprint: String,
    /// The links.
    pub cursor: Cursor,
    /// When the run began that read up to them.
    pub read_at: DateTime<Utc>,
}

impl CursorRow {
    /// The database belongs to the tenant whose cursor is in it.
    pub(crate) fn require_tenant(&self, configured: &str) -> Result<(), Error> {
        if self.tenant_id == configured {
            return Ok(());
        }
        Err(Error::Tenant { stored: self.tenant_id.clone(), configured: configured.to_owned() })
    }
}

/// Why a row of `aad_groups` means no group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stray {
    /// Its `external_id` is not spelled as an object id.
    NoId,
    /// Another row is the group's already.
    Second,
    /// It was taken over for a group, and people gave it the `external_id` of another.
    Rewritten,
}

/// Rows that mean no group, by `external_id`.
pub type Strays = BTreeMap<String, Option<Stray>>;

/// What a run must know before it reads the directory.
#[derive(Clone, Debug)]
pub struct Start {
    /// Where the last run ended; `None` before the first.
    pub cursor: Option<CursorRow>,
    /// Groups that a link names.
    pub linked_groups: BTreeSet<ObjectId>,
    /// `external_id`s of linked rows that are nobody's: why they are not; nothing for those
    /// with an open finding that no link names any more.
    pub invalid_links: Strays,
    /// Registry group names, folded, and the group each is bound to.
    pub group_bindings: BTreeMap<String, ObjectId>,
    /// Keys of owners' names, and the person each is bound to.
    pub owner_bindings: BTreeMap<String, ObjectId>,
    /// Groups whose members were never read, or not at the last attempt.
    pub unread_groups: BTreeSet<ObjectId>,
    /// Registry group names, folded, that were asked for and mean none or several.
    pub unresolved_names: BTreeSet<String>,
    /// Registry group names, folded, that somebody approved to be bound anew.
    pub approved_names: BTreeSet<String>,
    /// Hashes of plans that were approved before this run reads the directory.
    pub approved_plans: BTreeSet<String>,
    /// Since when each finding is open that concerns reading.
    pub troubled_since: BTreeMap<(FindingKind, String), DateTime<Utc>>,
}

impl Tx<'_> {
    /// What a run must know before it reads the directory.
    pub fn start(&mut self) -> Result<Start, Error> {
        self.few_rows()?;
        let (linked_groups, invalid_links) = self.linked_groups()?;
        Ok(Start {
            cursor: self.cursor()?,
            linked_groups,
            invalid_links,
            group_bindings: self.bindings("group")?,
            owner_bindings: self.bindings("owner")?,
            unread_groups: self.unread_groups()?,
            unresolved_names: self.unresolved_names()?,
            approved_names: self.approved_names()?,
            approved_plans: self.approved_plans()?,
            troubled_since: self.findings_since()?,
        })
    }

    /// Whether the database is of this tenant, or of nobody yet.
    ///
    /// # Errors
    /// [`Error::Tenant`] if it is another's.
    pub fn require_tenant(&mut self, configured: &str) -> Result<(), Error> {
        self.cursor()?.map_or(Ok(()), |row| row.require_tenant(configured))
    }

    /// Where the last run ended.
    pub fn cursor(&mut self) -> Result<Option<CursorRow>, Error> {
        use dirsync_cursors::dsl;
        type Row = (i64, String, String, String, String, String, Time);
        let columns = (
            dsl::generation,
            dsl::tenant_id,
            dsl::endpoint,
            dsl::fingerprint,
            dsl::users_link,
            dsl::groups_link,
            dsl::updated_at,
        );
        let row: Option<Row> = dsl::dirsync_cursors
            .select(columns)
            .first(self.conn)
            .optional()
            .doing("reading the cursor")?;
        Ok(row.map(|(generation, tenant_id, endpoint, fingerprint, users, groups, read_at)| {
            let cursor = Cursor { users: DeltaLink::new(users), groups: DeltaLink::new(groups) };
            CursorRow { generation, tenant_id, endpoint, fingerprint, cursor, read_at: read_at.0 }
        }))
    }

    fn linked_groups(&mut self) -> Result<(BTreeSet<ObjectId>, Strays), Error> {
        let rows: Vec<(i32, String, Option<Id>)> = product_aad_groups::table
            .inner_join(aad_groups::table.on(aad_groups::id.eq(product_aad_groups::aad_group_id)))
            .left_join(
                dirsync_aad_groups::table.on(dirsync_aad_groups::aad_group_id.eq(aad_groups::id)),
            )
            .select((
                aad_groups::id,
                aad_groups::external_id,
                dirsync_aad_groups::object_id.nullable(),
            ))
            .distinct()
            .load(self.conn)
            .doing("reading links")?;
        let open = self.open_findings()?.into_keys();
        let open = open.filter(|(kind, _)| *kind == FindingKind::GroupIdInvalid);
        let open: BTreeSet<String> = open.map(|(_, subject)| subject).collect();
        let group = |text: &String, bound: &Option<Id>| {
            bound.map(ObjectId::from).or_else(|| ObjectId::spelled(text))
        };
        let linked: BTreeSet<ObjectId> =
            rows.iter().filter_map(|(_, text, bound)| group(text, bound)).collect();
        let mut asked = linked.clone();
        asked.extend(open.iter().filter_map(|subject| ObjectId::spelled(subject)));
        let groups = load_groups(self.conn, Which::Ids(&asked))?;
        let is_rewritten = |subject: &String| {
            groups.values().any(|row| row.external_id == *subject && row.is_rewritten())
        };
        let mut invalid: Strays = BTreeMap::new();
        for subject in open {
            let stray = is_rewritten(&subject).then_some(Stray::Rewritten);
            invalid.insert(subject, stray);
        }
        for (row, text, bound) in rows {
            let own = group(&text, &bound).map(|id| groups.get(&id));
            let stray = match own {
                None => Stray::NoId,
                Some(Some(own)) if own.id == Some(row) && !own.is_rewritten() => continue,
                Some(Some(own)) if own.id == Some(row) => Stray::Rewritten,
                Some(_) => Stray::Second,
            };
            invalid.insert(text, Some(stray));
        }
        Ok((linked, invalid))
    }

    fn unresolved_names(&mut self) -> Result<BTreeSet<String>, Error> {
        use crate::reconcile::report::FindingKind::{
            RegistryGroupAmbiguous, RegistryGroupUnresolved,
        };
        let open = self.open_findings()?.into_keys();
        Ok(open
            .filter(|(kind, _)| matches!(kind, RegistryGroupUnresolved | RegistryGroupAmbiguous))
            .map(|(_, name)| fold_case(&name))
            .collect())
    }

    fn unread_groups(&mut self) -> Result<BTreeSet<ObjectId>, Error> {
        let ids: Vec<Id> = dirsync_observed_groups::table
            .filter(dirsync_observed_groups::members.ne(MemberRead::Complete.label()))
            .filter(dirsync_observed_groups::presence.eq("present"))
            .select(dirsync_observed_groups::object_id)
            .load(self.conn)
            .doing("reading unread groups")?;
        Ok(ids.into_iter().map(ObjectId::from).collect())
    }

    /// Whether there are groups whose members were never read, or not at the last attempt.
    pub fn has_unread_groups(&mut self) -> Result<bool, Error> {
        Ok(!self.unread_groups()?.is_empty())
    }

    /// Which of these users are observed, and whether they exist.
    pub fn user_presence(
        &mut self,
        which: Which<'_>,
    ) -> Result<BTreeMap<ObjectId, Presence>, Error> {
        use dirsync_observed_users::dsl::{
            dirsync_observed_users as table, evidence, object_id, presence,
        };
        let query = || table.select((object_id, presence, evidence));
        let rows: Vec<(Id, String, Option<String>)> = match which {
            Which::All => query().load(self.conn),
            Which::Ids(ids) => in_slices(ids.iter().copied(), |ids| {
                query().filter(object_id.eq_any(ids)).load(self.conn)
            }),
        }
        .doing("reading who is observed")?;
        rows.into_iter()
            .map(|(id, word, because)| Ok((id.into(), presence_of(&word, because.as_deref())?)))
            .collect()
    }

    /// Which of these groups are observed.
    pub fn observed_groups(
        &mut self,
        which: Which<'_>,
    ) -> Result<BTreeMap<ObjectId, ObservedGroup>, Error> {
        observed_groups(self.conn, which)
    }

    /// What is observed of these users, properties included.
    pub fn observed_users(
        &mut self,
        ids: &BTreeSet<ObjectId>,
    ) -> Result<BTreeMap<ObjectId, ObservedUser>, Error> {
        observed_users(self.conn, Which::Ids(ids))
    }

    /// Observed direct members of these groups.
    pub fn members_of(
        &mut self,
        groups: &BTreeSet<ObjectId>,
    ) -> Result<BTreeMap<ObjectId, BTreeSet<Member>>, Error> {
        Ok(by_group(edges(self.conn, EdgesOf::Groups(groups))?))
    }

    /// Observed direct groups of these members, as (group, member).
    pub fn groups_of(
        &mut self,
        members: &BTreeSet<ObjectId>,
    ) -> Result<BTreeSet<(ObjectId, ObjectId)>, Error> {
        let rows = edges(self.conn, EdgesOf::Members(members))?;
        Ok(rows.iter().map(|edge| (edge.group_id.into(), edge.member_id.into())).collect())
    }

    /// Everything observed.
    pub fn observed_all(&mut self) -> Result<Observed, Error> {
        Ok(Observed {
            users: observed_users(self.conn, Which::All)?,
            groups: observed_groups(self.conn, Which::All)?,
            edges: by_group(edges(self.conn, EdgesOf::All)?),
        })
    }

    /// What is observed of everything that the parts touch: see [`Observed`].
    pub fn observed_for(&mut self, parts: &[Part]) -> Result<Observed, Error> {
        let mut users = BTreeSet::new();
        let mut groups = BTreeSet::new();
        let mut listed = BTreeSet::new();
        let mut moved_groups = BTreeSet::new();
        let mut moved_members = BTreeSet::new();
        for part in parts {
            users.extend(part.users.keys());
            groups.extend(part.groups.keys().chain(part.members.keys()).chain(&part.failed));
            for of in part.groups_of.values() {
                groups.extend(of.list.get().iter().chain(of.left.keys()));
            }
            moved_members.extend(part.groups_of.keys().map(|member| member.id));
            for (group, members) in &part.members {
                match members {
                    Members::Complete { .. } => {
                        listed.insert(*group);
                    }
                    Members::Changes(changes) => {
                        moved_groups.insert(*group);
                        moved_members.extend(changes.get().keys().map(|member| member.id));
                    }
                }
            }
        }
        let mut rows = edges(self.conn, EdgesOf::Groups(&listed))?;
        rows.extend(edges(self.conn, EdgesOf::Members(&moved_members))?);
        // Whether an edge may be taken away by a list depends on whether its member exists.
        for edge in rows.iter().filter(|edge| listed.contains(&edge.group_id.into())) {
            let into = if edge.is_group { &mut groups } else { &mut users };
            into.insert(edge.member_id.into());
        }
        groups.extend(rows.iter().map(|edge| ObjectId::from(edge.group_id)));
        Ok(Observed {
            users: observed_users(self.conn, Which::Ids(&users))?,
            groups: observed_groups(self.conn, Which::Ids(&groups))?,
            edges: by_group(rows),
        })
    }
}

fn by_group(rows: Vec<EdgeRow>) -> BTreeMap<ObjectId, BTreeSet<Member>> {
    let mut edges: BTreeMap<ObjectId, BTreeSet<Member>> = BTreeMap::new();
    for EdgeRow { group_id, member_id, is_group } in rows {
        let kind = if is_group { MemberKind::Group } else { MemberKind::User };
        edges.entry(group_id.into()).or_default().insert(Member { id: member_id.into(), kind });
    }
    edges
}

/// Which edges to read.
#[derive(Clone, Copy)]
pub(super) enum EdgesOf<'a> {
    All,
    Groups(&'a BTreeSet<ObjectId>),
    Members(&'a BTreeSet<ObjectId>),
}

pub(super) fn edges(conn: &mut Conn, of: EdgesOf<'_>) -> Result<Vec<EdgeRow>, Error> {
    use dirsync_observed_edges::dsl::{dirsync_observed_edges as table, group_id, member_id};
    match of {
        EdgesOf::All => table.load(conn),
        EdgesOf::Groups(ids) => {
            in_slices(ids.iter().copied(), |ids| table.filter(group_id.eq_any(ids)).load(conn))
        }
        EdgesOf::Members(ids) => {
            in_slices(ids.iter().copied(), |ids| table.filter(member_id.eq_any(ids)).load(conn))
        }
    }
    .doing("reading observed edges")
}

pub(super) fn observed_users(
    conn: &mut Conn,
    which: Which<'_>,
) -> Result<BTreeMap<ObjectId, ObservedUser>, Error> {
    use dirsync_observed_users::dsl::{dirsync_observed_users as table, object_id};
    let rows: Vec<ObservedUserRow> = match which {
        Which::All => table.load(conn),
        Which::Ids(ids) => {
            in_slices(ids.iter().copied(), |ids| table.filter(object_id.eq_any(ids)).load(conn))
        }
    }
    .doing("reading observed users")?;
    rows.into_iter().map(ObservedUserRow::read).collect()
}

pub(super) fn observed_groups(
    conn: &mut Conn,
    which: Which<'_>,
) -> Result<BTreeMap<ObjectId, ObservedGroup>, Error> {
    use dirsync_observed_groups::dsl::{dirsync_observed_groups as table, object_id};
    let rows: Vec<ObservedGroupRow> = match which {
        Which::All => table.load(conn),
        Which::Ids(ids) => {
            in_slices(ids.iter().copied(), |ids| table.filter(object_id.eq_any(ids)).load(conn))
        }
    }
    .doing("reading observed groups")?;
    rows.into_iter().map(ObservedGroupRow::read).collect()
}
