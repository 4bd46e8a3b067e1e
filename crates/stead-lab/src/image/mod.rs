//! Images of nodes (owned by the image helper).
