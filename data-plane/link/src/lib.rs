//! The one channel from a node to the control plane: identity, epoch, reconnect, typed pipes.
