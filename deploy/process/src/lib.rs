//! What every process of ours needs and no room owns: configuration with its origins, logs, named tasks that can be
//! drained, signals, how a failure is told, and the one place that reads the clock. It imports nothing of ours.

pub mod clock;
pub mod config;
pub mod failure;
pub mod logs;
pub mod signals;
pub mod tasks;
