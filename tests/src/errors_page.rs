//! The text of `docs/errors.md`: what the protocol's tables of codes say, and what holds for all of them.

use std::fmt::Write as _;

use carillon_proto::WireRow;
use carillon_proto::wire::{CLOSE_TABLE, WIRE_TABLE};
use tonic::Code;

const BEGINNING: &str = "\
# Errors

Made from the tables of `proto/src/wire.rs` by `cargo run -p carillon-tests --bin errors-page`: change those, then run it.

Every refusal has one of these codes: the `code` of `Error` and `Disconnected` in a session, the `reason` of
`google.rpc.ErrorInfo` (domain `carillon`) in a status. Messages are fixed texts: they never hold input, internals or
personal data. `violations` name fields and rules, and `request_id` is what the hub's log and its audit lines have too.

- **retry**: the same command may succeed when it is sent again unchanged, with the same idempotency key. `RATE_LIMITED`
  and others say in `retry_after_ms` when.
- **reconnect**: a client whose session ended with this code should open another and resume.
- **close**: the [close code](#close-codes) of a WebSocket whose session ends with this code.

A command's error never ends the session. A broken frame, a failed authentication, a frame that is too large and a
limit on connections do. Over HTTP (`POST /v1/commands`, `POST /v1/tickets`, an event stream that does not begin) the
answer has the code's HTTP status and the `Error` as JSON; to an `EventSource`, which gives up for good at any status but
200, what has **retry** is told in a stream that ends ([server-sent events](client-guide.md#server-sent-events)).

| code | message | gRPC | HTTP | close | retry | reconnect | when, and what to do |
|---|---|---|---|---|---|---|---|
";

const CLOSES: &str = "
## Close codes

A session that ends is told `disconnected` with its code, or, where its `hello` failed, an `error` under that command's
id; then the socket is closed with the code's close code, and the code's name as the reason. A client needs the close
code alone to decide: 4000 to 4499 mean reconnect and resume, 4500 to 4999 mean do not, and so do 1009 and frames that no
server takes (1002, 1003, 1007). After any other, 1008 among them, and where the connection breaks without one, reconnect,
later where `retry_after_ms` or `reconnect_after_ms` said so.

| close | code | when | reconnect |
|---|---|---|---|
| 1000 | | The client said `goodbye`, or closed. | no |
";

const END: &str = "
Before there is a socket, the handshake is answered over HTTP: 400 where it is malformed or only unknown sub-protocols
are offered, 403 to a page of another origin, 426 where it is no handshake, 429 and 503 where there are too many
connections. Browsers tell pages nothing of those but 1006, which is a connection that broke.
";

/// The whole page.
#[must_use]
pub fn page() -> String {
    let mut page = BEGINNING.to_owned();
    for row in WIRE_TABLE {
        let WireRow { name, message, http, close, when, .. } = row;
        let (grpc, retry, reconnect) = (status(row.grpc), yes(row.retryable), yes(row.reconnect));
        let line = format!(
            "| `{name}` | {message} | {grpc} | {http} | {close} | {retry} | {reconnect} | {when} |\n"
        );
        page.push_str(&line);
    }
    page.push_str(CLOSES);
    let broken = CLOSE_TABLE.map(|row| {
        let fault = if WireRow::of(row.code).reconnect {
            "yes, though it is a fault of the client"
        } else {
            "a fault of the client: it would come again"
        };
        (row.close, format!("| {} | `{}` | {} | {fault} |", row.close, row.code, row.when))
    });
    let codes = WIRE_TABLE.map(|row| {
        let (close, name, message, reconnect) = (row.close, row.name, row.message, yes(row.reconnect));
        (close, format!("| {close} | `{name}` | The session ended: {message}. | {reconnect} |"))
    });
    let mut closes: Vec<_> = broken.into_iter().chain(codes).collect();
    closes.sort();
    for (_, line) in closes {
        let _ = writeln!(page, "{line}");
    }
    page.push_str(END);
    page
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

/// A status' name as the gRPC documentation writes it.
fn status(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
