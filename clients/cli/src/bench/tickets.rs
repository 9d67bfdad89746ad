//! Tickets from a bridge, for what cannot show a token: one for each event stream.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::wire::WireError;

const MALFORMED: WireError = WireError::Malformed("an answer to POST /v1/tickets that is none");
/// Longest answer, bytes.
const ANSWER_BYTES: u64 = 64 * 1_024;

/// A connection over which tickets are made.
pub(super) struct Tickets {
    authority: String,
    connection: BufReader<TcpStream>,
}

impl Tickets {
    /// Connects to the bridge.
    pub(super) fn open(bridge: SocketAddr) -> Result<Self, WireError> {
        let socket = TcpStream::connect(bridge).map_err(WireError::system("connect to the bridge"))?;
        socket.set_nodelay(true).map_err(WireError::system("set TCP_NODELAY"))?;
        Ok(Self { authority: bridge.to_string(), connection: BufReader::new(socket) })
    }

    /// Makes one for the bearer of this token: good once, and for half a minute.
    pub(super) fn make(&mut self, token: &str) -> Result<String, WireError> {
        let request = format!(
            "POST /v1/tickets HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\ncontent-length: 0\r\n\r\n",
            self.authority
        );
        let sent = self.connection.get_mut().write_all(request.as_bytes());
        sent.map_err(WireError::system("ask for a ticket"))?;
        let (status, length) = self.head()?;
        let mut body = vec![0; length];
        self.connection.read_exact(&mut body).map_err(WireError::system("read a ticket"))?;
        if status != 200 {
            return Err(WireError::Handshake { status });
        }
        let answer: serde_json::Value = serde_json::from_slice(&body).map_err(|_| MALFORMED)?;
        answer["ticket"].as_str().map(str::to_owned).ok_or(MALFORMED)
    }

    /// The answer's status, and the length of its body.
    fn head(&mut self) -> Result<(u16, usize), WireError> {
        let mut lines = Vec::new();
        let mut head = self.connection.by_ref().take(ANSWER_BYTES);
        loop {
            let mut line = String::new();
            let read = head.read_line(&mut line).map_err(WireError::system("read a ticket"))?;
            match line.trim_end() {
                "" if read == 0 => return Err(WireError::Closed),
                "" => break,
                line => lines.push(line.to_ascii_lowercase()),
            }
        }
        let status = lines.first().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let length = lines.iter().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        match (status, length) {
            (Some(status), Some(length)) if length as u64 <= ANSWER_BYTES => Ok((status, length)),
            _ => Err(MALFORMED),
        }
    }
}
