//! What the simulator does on the wire, seen by a small client of its own.

mod client;
mod convergence;
