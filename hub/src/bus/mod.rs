//! What nodes tell each other: the port, its adapters, and the order that is made of what comes in.

pub mod sequence;
