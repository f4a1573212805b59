//! From a store change to new snapshot entries, and each node's feed of them. A change costs in proportion to what it
//! changed; what is equal to before is not sent.

pub mod catalog;
