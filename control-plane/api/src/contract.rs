//! The contract as it describes itself: the descriptor set with its options, read once. The guard, the transcoder and
//! OpenAPI all read the same.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, ExtensionDescriptor, MethodDescriptor};

/// The package that this port serves.
pub const PACKAGE: &str = "crs.admin.v1";

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the set is compiled in and read by every test")]
    DescriptorPool::decode(proto::DESCRIPTOR_SET).expect("the descriptor set of this build")
});

/// The descriptors of this build.
pub fn pool() -> &'static DescriptorPool {
    &POOL
}

/// The methods that this port serves, in the order of the contract.
pub fn methods() -> impl Iterator<Item = MethodDescriptor> {
    pool()
        .services()
        .filter(|service| service.package_name() == PACKAGE)
        .flat_map(|service| service.methods().collect::<Vec<_>>())
}

/// A method's path in gRPC, such as `/crs.admin.v1.KeyService/CreateKey`.
pub fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// An option of ours or of `google.api`; `None` when the set does not know it.
pub fn extension(pool: &DescriptorPool, name: &str) -> Option<ExtensionDescriptor> {
    pool.get_extension_by_name(name)
}
