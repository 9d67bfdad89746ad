//! Presence and typing of live sessions.
