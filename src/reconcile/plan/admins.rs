//! Whether the admin groups are known well enough to take a role back.
//!
//! A wrong id, a group that cannot be read and a group without members look alike from
//! below: nobody is in it. Only the last of them takes a role away.

use super::Draft;
use crate::reconcile::report::FindingKind;
use crate::reconcile::world::MemberRead;

/// Judges the admin groups, with a finding for each that is not what it should be. The role
/// may be taken back only if every one of them was read to its end or is known to have been
/// deleted: any other may be the one that gave it.
pub(super) fn may_take_roles(draft: &mut Draft<'_>) -> bool {
    let (world, policy) = (draft.world, draft.policy);
    let mut may = true;
    // Groups that are not named any more are nobody's trouble, either.
    let open = world.open_findings.keys();
    let open = open.filter(|(kind, _)| *kind == FindingKind::AdminGroupUnusable).cloned();
    draft.evaluated.extend(open);
    for id in &policy.admin_groups {
        let told = match world.groups.get(id) {
            Some(group) if group.presence.is_present() => match group.members {
                MemberRead::Complete => continue,
                MemberRead::Never | MemberRead::Stale => {
                    may = false;
                    "the members of this group of roles.admin_groups cannot be read; nobody loses the role admin until they can"
                }
            },
            Some(_) if world.group_rows.get(id).is_some_and(|row| row.state.is_some()) => {
                "this group of roles.admin_groups is deleted in Azure AD; whoever had the role admin by it loses it. Restore the group, or name another"
            }
            _ => {
                may = false;
                "Azure AD has no group with this id of roles.admin_groups; nobody loses the role admin while it is named there. Correct the id, or take it out"
            }
        };
        draft.raise(FindingKind::AdminGroupUnusable, id, told);
    }
    may
}
