//! Background work of the control plane. A job takes no input, does nothing twice, runs on a period and when nudged,
//! and only on the replica that leads; what it changes carries the leader's fencing number, so that a leader that was
//! replaced without noticing changes nothing more.
//!
//! Adding one: a file in `jobs/`, a line in [`all`].

mod driver;
mod jobs;
mod leadership;
mod probe;
mod renewal;

pub use driver::{Driver, Job, Turn};
pub use jobs::{History, all};
pub use leadership::ROLE;
pub use platforms::oauth::Begin;
pub use probe::{Probed, probe};
pub use renewal::Renewer;
