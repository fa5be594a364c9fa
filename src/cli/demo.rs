//! `demo`: the main job on a laptop, against a simulated tenant.

use super::{DemoArgs, Exit};

/// Shows it.
pub async fn run(_args: &DemoArgs) -> Exit {
    Exit::Done
}
