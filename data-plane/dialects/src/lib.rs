//! Wire formats that clients speak: framing, peek, events, usage, errors. Sans I/O.
