//! Every state that the tenant was ever in, and what held through a stretch of them.
//!
//! A daemon that reads while people edit may meet half of an edit; Graph promises no
//! snapshots. So nobody is asked what the tenant granted at one moment, but what each
//! single fact was: whoever is reached over facts that held all the time was never
//! taken anything from.

use std::collections::BTreeSet;

use graph_simulator::Tenant;
use uuid::Uuid;

/// What gives access: people who may come in, groups that are there, direct memberships.
#[derive(Clone, Debug)]
pub struct Moment {
    pub people: BTreeSet<Uuid>,
    pub groups: BTreeSet<Uuid>,
    pub edges: BTreeSet<(Uuid, Uuid)>,
}

impl Moment {
    pub fn of(tenant: &Tenant) -> Self {
        let people = tenant.users().filter(|user| !user.is_deleted());
        let groups = tenant.groups().filter(|group| !group.is_deleted());
        let edges = tenant.groups().flat_map(|group| {
            tenant.direct_members(group.id()).map(move |member| (group.id(), member))
        });
        Self {
            people: people
                .filter(|user| user.account_enabled == Some(true))
                .map(graph_simulator::User::id)
                .collect(),
            groups: groups.map(graph_simulator::Group::id).collect(),
            edges: edges.collect(),
        }
    }

    fn keep(&mut self, other: &Self) {
        self.people.retain(|id| other.people.contains(id));
        self.groups.retain(|id| other.groups.contains(id));
        self.edges.retain(|edge| other.edges.contains(edge));
    }

    /// Everybody a group lets in, over nested groups.
    pub fn reached(&self, group: Uuid) -> BTreeSet<Uuid> {
        let mut reached = BTreeSet::new();
        let mut open = vec![group];
        while let Some(id) = open.pop() {
            if self.groups.contains(&id) && reached.insert(id) {
                let members = self.edges.range((id, Uuid::nil())..=(id, Uuid::max()));
                open.extend(
                    members.clone().map(|(_, member)| *member).filter(|m| self.groups.contains(m)),
                );
                reached
                    .extend(members.map(|(_, member)| *member).filter(|m| self.people.contains(m)));
            }
        }
        reached.retain(|id| self.people.contains(id));
        reached
    }
}

/// The moments in their order.
#[derive(Clone)]
pub struct Chronicle(Vec<Moment>);

impl Chronicle {
    pub fn new(tenant: &Tenant) -> Self {
        Self(vec![Moment::of(tenant)])
    }

    pub fn note(&mut self, tenant: &Tenant) {
        self.0.push(Moment::of(tenant));
    }

    /// The number of the newest moment.
    pub fn now(&self) -> usize {
        self.0.len() - 1
    }

    /// What held at every moment from `since` on.
    pub fn stable(&self, since: usize) -> Moment {
        let (first, later) = self.0[since..].split_first().unwrap();
        let mut stable = first.clone();
        for moment in later {
            stable.keep(moment);
        }
        stable
    }
}
