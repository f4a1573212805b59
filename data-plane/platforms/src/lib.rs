//! Kinds of upstream accounts, one folder each. Sans I/O.
