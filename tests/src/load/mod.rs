//! What the load generator, the benchmark and the kill tests share: closed-loop and paced load by raw connections, and
//! a process tree's CPU time and memory as the kernel accounts for them.

mod drive;
mod figures;
mod scenario;
mod usage;

pub use drive::{Run, run};
pub use figures::Histogram;
pub use scenario::{Kind, SCENARIOS, Scenario};
pub use usage::{Usage, ticks_per_second, tree};
