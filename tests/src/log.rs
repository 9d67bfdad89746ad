//! One room's log as a reader gets it: complete, in order, each entry once, or the test fails.

use carillon_client::v1;
use carillon_client::v1::session_response::Kind;

use crate::wire::Wire;

/// What a reader has of a room. Made from a `joined`; everything after it is checked.
#[derive(Clone, Debug)]
pub struct Reader {
    room: String,
    /// The last entry that it has: where it would join again.
    pub position: v1::Position,
    /// The texts of the messages, in order.
    pub texts: Vec<String>,
    /// What retention took, as (from, to).
    pub gaps: Vec<(u64, u64)>,
}

impl Reader {
    /// A reader that has everything up to `position`.
    pub fn from(room: &str, position: v1::Position) -> Self {
        Self { room: room.to_owned(), position, texts: Vec::new(), gaps: Vec::new() }
    }

    /// Takes a frame, whatever it is about. Panics where an entry of the room is not the next.
    pub fn take(&mut self, kind: &Kind) {
        match kind {
            Kind::Message(message) if message.room == self.room => {
                let header = message.header.as_ref().expect("a header");
                assert_eq!(header.seq, self.position.seq + 1, "a gap or an overlap in {}", self.room);
                self.position = v1::Position { epoch: header.epoch, seq: header.seq, tag: header.tag };
                self.texts.push(crate::words(message).to_owned());
            }
            Kind::Gap(gap) if gap.room == self.room => {
                assert_eq!(gap.from, self.position.seq + 1);
                assert!(gap.to >= gap.from);
                self.position.seq = gap.to;
                self.gaps.push((gap.from, gap.to));
            }
            _ => {}
        }
    }

    /// Reads until the entry at `seq` has come.
    pub async fn reads_to(&mut self, wire: &mut Wire, seq: u64) {
        while self.position.seq < seq {
            let frame = wire.next().await.expect("the stream goes on");
            self.take(&frame.kind.expect("a kind that this test knows"));
        }
        assert_eq!(self.position.seq, seq);
    }
}
