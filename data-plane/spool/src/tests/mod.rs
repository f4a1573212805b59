//! Tests of the spool as a whole: the format, crashes at any point on a simulated disk, and a real process that is killed.

mod format;
mod kill;
mod model;
mod sim;
mod whole;
