//! What a connection is told that is one too many, before it is closed: that it is, or where whoever watches the bridge asks
//! whether it lives, that it does. A bridge that is full is not to be started again for it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Connections that are told something at a time.
const AT_A_TIME: usize = 64;
/// How long one of them has to ask.
const ASKED_WITHIN: Duration = Duration::from_millis(500);
/// How long one of them has for all of it.
const WITHIN: Duration = Duration::from_secs(1);
/// Bytes that are read of what one sends.
const READ_BYTES: usize = 40 * 1_024;
/// How whoever watches the bridge begins to ask whether it lives.
const LIVES: [&[u8]; 2] = [b"GET /health/live ", b"HEAD /health/live "];
/// The longer of them, bytes.
const LONGEST: usize = LIVES[1].len();

/// Those who are being told, by why. Past [`AT_A_TIME`] nobody is: whoever asks that often knows. Addresses that have too many take
/// no places of those who find the bridge full.
pub(crate) struct Told {
    full: Arc<Semaphore>,
    crowded: Arc<Semaphore>,
}

/// Why a connection is one too many.
#[derive(Clone, Copy)]
pub(crate) enum Refusal {
    /// There are too many of all. Another may have ended after so long.
    Full(Duration),
    /// There are too many of its address, for so long.
    Crowded(Duration),
}

impl Refusal {
    /// As an answer of HTTP.
    fn answer(self) -> String {
        let (status, wait) = match self {
            Self::Full(wait) => ("503 Service Unavailable", wait),
            Self::Crowded(wait) => ("429 Too Many Requests", wait),
        };
        let seconds = wait.as_millis().div_ceil(1_000);
        let ends = "connection: close\r\ncontent-length: 0";
        format!("HTTP/1.1 {status}\r\nretry-after: {seconds}\r\n{ends}\r\n\r\n")
    }
}

impl Default for Told {
    fn default() -> Self {
        let places = || Arc::new(Semaphore::new(AT_A_TIME));
        Self { full: places(), crowded: places() }
    }
}

impl Told {
    /// Tells a connection, and closes it.
    pub(crate) fn tell(&self, stream: TcpStream, refusal: Refusal) {
        let places = match refusal {
            Refusal::Full(_) => &self.full,
            Refusal::Crowded(_) => &self.crowded,
        };
        if let Ok(place) = Arc::clone(places).try_acquire_owned() {
            tokio::spawn(async move {
                let _ = timeout(WITHIN, tell(stream, refusal)).await;
                drop(place);
            });
        }
    }
}

/// Writes the answer and waits for the other side to have it: to close while it writes would reset the connection, and
/// take the answer with it.
async fn tell(mut stream: TcpStream, refusal: Refusal) -> io::Result<()> {
    // Who says nothing for so long is told all the same.
    let asks_whether_it_lives = timeout(ASKED_WITHIN, asks_whether_it_lives(&mut stream)).await;
    let answer = if matches!(asks_whether_it_lives, Ok(Ok(true))) {
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned()
    } else {
        refusal.answer()
    };
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    let (mut left, mut unread) = (READ_BYTES, [0; 1_024]);
    while left > 0 {
        match stream.read(&mut unread).await? {
            0 => break,
            read => left = left.saturating_sub(read),
        }
    }
    Ok(())
}

async fn asks_whether_it_lives(stream: &mut TcpStream) -> io::Result<bool> {
    let (mut begun, mut length) = ([0; LONGEST], 0);
    loop {
        let so_far = begun.get(..length).unwrap_or_default();
        if LIVES.iter().any(|whole| so_far.starts_with(whole)) {
            return Ok(true);
        }
        if !LIVES.iter().any(|whole| whole.starts_with(so_far)) {
            return Ok(false);
        }
        match stream.read(begun.get_mut(length..).unwrap_or_default()).await? {
            0 => return Ok(false),
            read => length += read,
        }
    }
}
