//! Which server of a cluster has which keys and channels.

use std::fmt;
use std::sync::Arc;

use redis::{Value, from_redis_value_ref};

/// How many slots a cluster has.
pub const SLOTS: u16 = 16_384;

/// A server, as a cluster names it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// A name or an address; the path of one on a socket of this machine.
    pub host: Arc<str>,
    /// 0 for one on a socket.
    pub port: u16,
}

/// For the log: without the host.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server at port {}", self.port)
    }
}

/// The slot of a channel: that of what stands between its first braces.
pub fn slot_of(channel: &[u8]) -> u16 {
    let tagged = channel.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = channel.get(open + 1..)?;
        let close = rest.iter().position(|byte| *byte == b'}').filter(|close| *close > 0)?;
        rest.get(..close)
    });
    crc16(tagged.unwrap_or(channel)) % SLOTS
}

/// CRC-16/XMODEM, as the cluster's specification says.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

/// Who has which slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// By the first slot, each up to the last one; in order.
    ranges: Vec<(u16, u16, Address)>,
}

impl Topology {
    /// All slots are one server's.
    pub fn single(server: Address) -> Self {
        Self { ranges: vec![(0, SLOTS - 1, server)] }
    }

    /// Reads an answer to `CLUSTER SLOTS`, of the server at `asked`, whose own host is sometimes left out.
    pub fn read(answer: &Value, asked: &Address) -> Option<Self> {
        let Value::Array(ranges) = answer else { return None };
        let mut read = Vec::with_capacity(ranges.len());
        for range in ranges {
            let Value::Array(parts) = range else { return None };
            let [first, last, Value::Array(master), ..] = &parts[..] else { return None };
            let [host, port, ..] = &master[..] else { return None };
            let host: Option<String> = from_redis_value_ref(host).ok()?;
            let named = host.filter(|host| !host.is_empty() && host != "?");
            let host = named.map_or_else(|| Arc::clone(&asked.host), Arc::from);
            let port = from_redis_value_ref(port).ok()?;
            let (first, last) = (from_redis_value_ref(first).ok()?, from_redis_value_ref(last).ok()?);
            read.push((first, last, Address { host, port }));
        }
        read.sort();
        Some(Self { ranges: read })
    }

    /// Whose a slot is.
    pub fn owner(&self, slot: u16) -> Option<&Address> {
        let after = self.ranges.partition_point(|(first, ..)| *first <= slot);
        let (_, last, address) = self.ranges.get(after.checked_sub(1)?)?;
        (slot <= *last).then_some(address)
    }

    /// Whether every slot is somebody's.
    pub fn is_whole(&self) -> bool {
        let next =
            self.ranges.iter().try_fold(0, |next, (first, last, _)| (*first == next).then(|| last + 1));
        next == Some(SLOTS)
    }

    /// All servers that have slots, each once.
    pub fn servers(&self) -> Vec<Address> {
        let mut servers: Vec<_> = self.ranges.iter().map(|(.., address)| address.clone()).collect();
        servers.sort();
        servers.dedup();
        servers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> Address {
        Address { host: "a".into(), port }
    }

    #[test]
    fn a_channels_slot_is_that_of_its_tag() {
        // From the cluster's specification, and from a server's own CLUSTER KEYSLOT.
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(slot_of(b"123456789"), 12_739);
        assert_eq!(slot_of(b"carillon:{388}:r/acme/conversation:a/c"), slot_of(b"388"));
        assert_eq!(slot_of(b"foo{}{bar}"), slot_of(b"foo{}{bar}") % SLOTS);
        assert_ne!(slot_of(b"foo{}{bar}"), slot_of(b"bar"), "empty braces are no tag");
    }

    #[test]
    fn slots_are_read_and_found() {
        let server = |host: &str, port| {
            let host = if host.is_empty() { Value::Nil } else { Value::BulkString(host.into()) };
            Value::Array(vec![host, Value::Int(port), Value::BulkString("id".into())])
        };
        let range = |first, last, master, replica| {
            Value::Array(vec![Value::Int(first), Value::Int(last), master, replica])
        };
        let answer = Value::Array(vec![
            range(8_000, 16_383, server("", 2), server("b", 3)),
            range(0, 7_998, server("a", 1), server("b", 4)),
        ]);
        let topology = Topology::read(&answer, &Address { host: "asked".into(), port: 9 }).unwrap();
        assert_eq!(topology.owner(0), Some(&address(1)));
        assert_eq!(topology.owner(7_998), Some(&address(1)));
        assert_eq!(topology.owner(7_999), None, "nobody has it");
        assert_eq!(topology.owner(16_383), Some(&Address { host: "asked".into(), port: 2 }));
        assert_eq!(topology.servers().len(), 2);
        assert!(!topology.is_whole() && !Topology::default().is_whole());
        assert!(Topology::single(address(1)).is_whole());
        assert_eq!(Topology::read(&Value::Nil, &address(9)), None);
        assert_eq!(Topology::single(address(1)).owner(16_383), Some(&address(1)));
    }
}
