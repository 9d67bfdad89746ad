//! The bare tokio writer: what fan-out costs when nothing but the writing is left of a hub. One task and one bounded
//! queue per connection, one send per message; no protocol, no store, no access. `carillon bench fanout --peer raw`
//! runs it beside a hub, in the same run and under the same load.
//!
//! A connection begins with a role, `S` or `R`, and a room in four bytes, big-endian, and gets an empty message in answer.
//! A receiver then gets what senders of its room write. Messages travel with gRPC's prefix (a flag byte and the
//! length in four bytes) and pass unread. Everything is on one thread, as a hub on one core is.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Write;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};

/// Messages that may wait for one connection. A sender waits where one is full: the benchmark keeps fewer than this
/// under way, so that none ever is.
const QUEUE: usize = 256;
/// Bytes before a message.
const PREFIX: usize = 5;
/// Largest message accepted, bytes.
const MESSAGE_BYTES: usize = 1 << 20;

type Rooms = Rc<RefCell<HashMap<u32, Vec<mpsc::Sender<Bytes>>>>>;

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    LocalSet::new().block_on(&runtime, serve())
}

/// Serves until the process is killed.
async fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "{{\"address\":\"{}\"}}", listener.local_addr()?)?;
    let rooms = Rooms::default();
    loop {
        let (socket, _) = listener.accept().await?;
        let rooms = Rc::clone(&rooms);
        // A connection that fails is one that the benchmark closed: it counts what is missing.
        spawn_local(async move { accept(socket, rooms).await.ok() });
    }
}

async fn accept(mut socket: TcpStream, rooms: Rooms) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let role = socket.read_u8().await?;
    let room = socket.read_u32().await?;
    match role {
        b'R' => {
            let (sender, receiver) = mpsc::channel(QUEUE);
            // Registered before it is told so: nothing that is sent from then on passes it by.
            rooms.borrow_mut().entry(room).or_default().push(sender);
            socket.write_all(&[0; PREFIX]).await?;
            write(socket, receiver).await
        }
        _ => {
            socket.write_all(&[0; PREFIX]).await?;
            fan_out(socket, room, rooms).await
        }
    }
}

/// Writes each message of the queue by itself.
async fn write(mut socket: TcpStream, mut queue: mpsc::Receiver<Bytes>) -> std::io::Result<()> {
    while let Some(message) = queue.recv().await {
        socket.write_all(&message).await?;
    }
    Ok(())
}

/// Reads a sender's messages and queues each for every receiver of its room.
async fn fan_out(mut socket: TcpStream, room: u32, rooms: Rooms) -> std::io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        while let Some(message) = next_message(&mut buffer)? {
            // Taken out while it is waited for: nobody may hold a borrow across an await.
            let mut receivers = rooms.borrow_mut().remove(&room).unwrap_or_default();
            let mut gone = false;
            for receiver in &receivers {
                gone |= match receiver.try_send(message.clone()) {
                    Ok(()) => false,
                    Err(mpsc::error::TrySendError::Closed(_)) => true,
                    Err(mpsc::error::TrySendError::Full(message)) => receiver.send(message).await.is_err(),
                };
            }
            if gone {
                receivers.retain(|receiver| !receiver.is_closed());
            }
            rooms.borrow_mut().entry(room).or_default().append(&mut receivers);
        }
        if socket.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// The next whole message with its prefix.
fn next_message(buffer: &mut BytesMut) -> std::io::Result<Option<Bytes>> {
    let Some(prefix) = buffer.get(1..PREFIX) else { return Ok(None) };
    let length = PREFIX + prefix.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    if length > MESSAGE_BYTES {
        return Err(std::io::Error::other("message too large"));
    }
    Ok((buffer.len() >= length).then(|| buffer.split_to(length).freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_taken_when_it_is_whole() {
        let mut buffer = BytesMut::from(&[0, 0, 0, 0, 2, b'a'][..]);
        assert_eq!(next_message(&mut buffer).unwrap(), None);
        buffer.extend_from_slice(&[b'b', 0]);
        assert_eq!(next_message(&mut buffer).unwrap().unwrap().as_ref(), [0, 0, 0, 0, 2, b'a', b'b']);
        assert_eq!(buffer.as_ref(), [0]);
    }
}
