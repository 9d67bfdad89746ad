//! Settings: read, checked and explained.
