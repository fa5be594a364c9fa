//! Reading Graph, against the simulator: complete, or an error; never half.

mod bench;
mod delta;
mod lists;
mod lookup;
mod members;
mod repeat;
mod speed;
mod tokens;
mod trust;
