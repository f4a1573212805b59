//! What the load generator and the benchmark share with tests.
