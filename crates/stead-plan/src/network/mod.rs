//! Networks: what is observed of them.

pub mod facts;
