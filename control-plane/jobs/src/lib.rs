//! Background work: idempotent, periodic and nudged, leader-elected.
