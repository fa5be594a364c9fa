//! Approvals that what happened since has overtaken.
//!
//! Owns the question whether what was approved still comes to what its plan said. Nobody
//! who approved the end of three people knew that the fourth would be gone by now. What is
//! overtaken is held anew, in a plan that says it; what is held itself overtakes nothing.

use super::demand::{Demand, ProductLoss};
use super::{Context, Outlook};
use crate::reconcile::plan::Item;

impl Demand {
    /// Holds anew what was approved and would, with everybody's own end, leave a product
    /// without anybody or without admin, though its plan did not say so.
    pub(super) fn recall_overtaken(&mut self, context: &Context<'_>) {
        if self.approved.is_empty() || !context.limits.keep_reachable {
            return;
        }
        let mut overtaken: Vec<Item> = Vec::new();
        let untold = |item: &Item, told: &dyn Fn(&Outlook) -> bool| {
            self.approved.get(item).is_some_and(|release| !told(&release.outlook))
        };
        for (product, loss) in &self.products {
            if leaves_nobody(product, loss, loss.settled, context) {
                let told = |outlook: &Outlook| outlook.emptied.contains(product);
                overtaken.extend(loss.items.iter().filter(|item| untold(item, &told)).cloned());
            }
        }
        for (product, moves) in &self.admins {
            let admins = context.admins.get(product).copied().unwrap_or(0);
            if (admins + moves.begins).saturating_sub(moves.settled) > 0 {
                continue;
            }
            let told = |outlook: &Outlook| outlook.without_admin.contains(product);
            let owners = self
                .approved
                .keys()
                .filter(|item| matches!(item, Item::ProductMember(of, _) if of == product));
            overtaken.extend(owners.filter(|item| untold(item, &told)).cloned());
        }
        for item in overtaken {
            if let Some(release) = self.approved.remove(&item) {
                self.ask_anew(&item, release.approval.plan.clone(), release.evidence);
            }
        }
    }
}

/// Whether nobody reaches a product once `lost` of its people have lost it.
pub(super) fn leaves_nobody(
    product: &str,
    loss: &ProductLoss,
    lost: u64,
    context: &Context<'_>,
) -> bool {
    let people = context.people.get(product).copied().unwrap_or(0);
    lost > 0 && (people + loss.gained).saturating_sub(lost) == 0
}
