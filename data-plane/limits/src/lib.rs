//! Permits over the node half of the quota machine.
