//! Store change to new snapshot entries, and each node's feed of them.
