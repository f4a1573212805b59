//! Rules that both planes must compute alike, bit for bit: pure functions over values, with `now` as a parameter.

pub mod failure;
pub mod family;
pub mod ids;
pub mod key_hash;
pub mod membership;
pub mod money;
pub mod price;
pub mod quota;
pub mod session;
pub mod upstream_window;
pub mod usage;
pub mod verdict;
pub mod window;
