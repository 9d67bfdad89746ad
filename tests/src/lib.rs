//! (place holder)
