//! The inbox: notifications, and their state on all devices of a user.
