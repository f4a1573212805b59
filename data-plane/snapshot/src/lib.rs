//! All that a node needs to relay, as of one store revision.
