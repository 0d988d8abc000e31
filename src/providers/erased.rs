//! Registers without their types, so that the engine can hold them side by side.
