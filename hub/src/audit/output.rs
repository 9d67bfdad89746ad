//! Standard output as where the log goes: without a buffer, so that it is known what was written where not all could be.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;

/// Standard output.
pub(super) struct Output(File);

impl Output {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self(io::stdout().as_fd().try_clone_to_owned()?.into()))
    }

    /// Writes these lines. Where that fails, what is left of them are the bytes that are still to be written.
    pub(super) fn append(&mut self, lines: &mut Vec<u8>) -> io::Result<()> {
        append(&mut self.0, lines)
    }
}

fn append(output: &mut impl Write, lines: &mut Vec<u8>) -> io::Result<()> {
    let mut written = 0;
    let outcome = loop {
        match lines.get(written..) {
            None | Some([]) => break Ok(()),
            Some(rest) => match output.write(rest) {
                Ok(0) => break Err(ErrorKind::WriteZero.into()),
                Ok(bytes) => written += bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            },
        }
    };
    lines.drain(..written);
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that takes so many more bytes.
    struct Disk {
        holds: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room).min(7);
            if taken == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.room -= taken;
            self.holds.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_that_has_room_again_has_each_line_once() {
        let (mut disk, mut lines) = (Disk { holds: Vec::new(), room: 20 }, Vec::new());
        lines.extend_from_slice(b"the first line\nthe second line\n");
        assert_eq!(append(&mut disk, &mut lines).unwrap_err().kind(), ErrorKind::StorageFull);
        lines.extend_from_slice(b"the third line\n");
        disk.room = 100;
        append(&mut disk, &mut lines).unwrap();
        assert!(lines.is_empty());
        assert_eq!(disk.holds, b"the first line\nthe second line\nthe third line\n");
    }
}
