//! What nodes must know of the records: building it and telling what changed. Pure; `publish` calls it for every change
//! of the store. What a node makes of it is the node's own `snapshot` crate.

pub mod build;
pub mod diff;

/// Raise it when [`build`] makes other entries of the same records: nodes then take a full snapshot instead of going on
/// from the revision that they hold.
pub const FORMAT: u32 = 2;
