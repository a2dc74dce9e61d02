//! What every `Bus` must do.
