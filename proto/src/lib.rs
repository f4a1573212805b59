//! The contract between the planes, the SDKs and the UI: wire types generated from `proto/crs`, the descriptor set,
//! and the few rules that both planes must compute alike. It does no I/O and names no platform.

/// The generated tree, laid out as the packages are. Use [`types`], [`admin`] and [`node`].
#[allow(
    missing_docs,
    clippy::all,
    clippy::too_many_lines,
    clippy::allow_attributes_without_reason,
    reason = "generated; comments come from the .proto files"
)]
mod crs {
    pub mod types {
        pub mod v1 {
            include!("gen/crs.types.v1.rs");
        }
    }
    pub mod admin {
        pub mod v1 {
            include!("gen/crs.admin.v1.rs");
        }
    }
    pub mod node {
        pub mod v1 {
            include!("gen/crs.node.v1.rs");
        }
    }
}

/// The admin API, for people and programs.
pub use crs::admin::v1 as admin;
/// The node API, between the planes.
pub use crs::node::v1 as node;
/// Shared types: keys, accounts, usage records, settings, options.
pub use crs::types::v1 as types;

mod masked_debug {
    include!("gen/masked_debug.rs");
}

pub mod rules;

/// The encoded `FileDescriptorSet` of all `.proto` files with their options and comments.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!("gen/descriptor.bin");

/// This release.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
