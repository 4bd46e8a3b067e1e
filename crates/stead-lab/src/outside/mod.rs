//! The world outside of the nodes (owned by the outside helper).
