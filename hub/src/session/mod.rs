//! Connections: a session from hello to drain.
