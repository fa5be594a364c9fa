//! Prints an error together with everything that caused it, on one line.
//!
//! Owns the form `outer: middle: inner`. Our errors never repeat their source in
//! their own message, so each link of the chain shows exactly once.

use std::error::Error;
use std::fmt;

/// An error with its causes.
#[derive(Clone, Copy)]
pub struct Chain<'a>(pub &'a (dyn Error + 'a));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(error) = self;
        write!(f, "{error}")?;
        let mut cause = error.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("asking")]
    struct Outer(#[source] fmt::Error);

    #[test]
    fn each_link_shows_once() {
        let error = Outer(fmt::Error);
        assert_eq!(Chain(&error).to_string(), format!("asking: {}", fmt::Error));
    }
}
