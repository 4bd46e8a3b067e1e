//! What `init` makes of nodes that it has looked at: a cluster file to begin with.

mod heard;
pub use heard::{Heard, Link, Probed};
