//! Real processes of ours.
