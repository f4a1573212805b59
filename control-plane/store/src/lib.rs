//! The store: one seam, two backends, one conformance suite.
