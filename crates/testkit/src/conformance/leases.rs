//! What every `Leases` must do.
