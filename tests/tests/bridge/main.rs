//! Browsers' way in: WebSocket in both sub-protocols, event streams, posted commands, and what must not come through.

mod broken;
mod edge;
mod events;
mod posted;
mod sockets;
