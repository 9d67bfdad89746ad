//! TLS end to end, on both ports and between bridge and hub; where plain text is refused; and who is believed and counted
//! by address.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what helpers find wrong fails the test")]

mod addresses;
mod browsers;
mod command;
mod grpc;
mod peers;
mod plain;
mod renewal;
mod stalled;
mod strangers;

use carillon_hub::config::Demand;
use carillon_tests::certificates::Authority;
use carillon_tests::{TestHub, hub};

/// A hub whose certificate is of the first authority, and which wants clients' certificates of the second.
async fn mutual() -> (Authority, Authority, TestHub) {
    let (authority, clients) = (Authority::new(), Authority::new());
    let plan = hub().with(authority.signs_local().at_grpc()).with(clients.is_asked_for(Demand::Required));
    (authority, clients, plan.start().await)
}
