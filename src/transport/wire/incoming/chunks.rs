//! The lines between the bytes of a chunked body.

/// Most digits of a chunk's size, and most bytes of what else its line may hold.
const MOST_DIGITS: usize = 16;
pub(super) const MOST_EXTENSION: usize = 16 * 1024;

/// A chunked body, whose sizes are brought into the shortest form that needs no looking ahead: a zero at most, and the
/// digits.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    at: At,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In the line of a size: a blank before it, a digit of it, or what follows it.
    #[default]
    Start,
    Size {
        digits: usize,
        size: u64,
    },
    Extension {
        size: u64,
        length: usize,
    },
    /// So many bytes of a chunk, and the end of its line, are to come.
    Data(u64),
    /// In a line behind the last chunk, of which something has come or not.
    Trailer {
        is_blank: bool,
    },
    End,
    /// What makes no sense is passed on, for the client to say so.
    Broken,
}

impl Chunks {
    /// Whether the body has come to its end.
    pub(super) fn is_whole(&self) -> bool {
        self.at == At::End
    }

    /// Rewrites `bytes`; gives how many are left of them, and how many of these, at the end, come behind the body.
    pub(super) fn pass(&mut self, bytes: &mut [u8]) -> (usize, usize) {
        let mut kept = 0;
        let mut at = 0;
        while at < bytes.len() {
            if let At::Data(left) = self.at {
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                bytes.copy_within(at..at + length, kept);
                kept += length;
                at += length;
                self.at = match left - length as u64 {
                    0 => At::Start,
                    left => At::Data(left),
                };
                continue;
            }
            if matches!(self.at, At::End | At::Broken) {
                let rest = bytes.len() - at;
                bytes.copy_within(at.., kept);
                return (kept + rest, if self.at == At::End { rest } else { 0 });
            }
            let byte = bytes[at];
            at += 1;
            if self.line(byte) {
                bytes[kept] = byte;
                kept += 1;
            }
        }
        (kept, 0)
    }

    /// Takes a byte of the line of a size. Whether it is kept.
    fn line(&mut self, byte: u8) -> bool {
        let digit = char::from(byte).to_digit(16).map(u64::from);
        let (next, kept) = match (self.at, byte, digit) {
            (At::Start, b' ' | b'\t', _) => (At::Start, false),
            // Of zeros in front one is kept: whether any other digit follows is not known.
            (At::Start, _, Some(size)) => (At::Size { digits: 1, size }, true),
            (At::Size { size: 0, digits }, b'0', _) => (At::Size { digits, size: 0 }, false),
            (At::Size { digits, size }, _, Some(digit)) if digits <= MOST_DIGITS && size >> 60 == 0 => {
                let size = size << 4 | digit;
                (
                    At::Size {
                        digits: digits + 1,
                        size,
                    },
                    true,
                )
            }
            (At::Size { size, .. }, b'\r', _) => (
                At::Size {
                    digits: usize::MAX,
                    size,
                },
                true,
            ),
            (At::Size { size, .. } | At::Extension { size, .. }, b'\n', _) => (after(size), true),
            (At::Size { size, .. }, b' ' | b'\t' | b';', _) => (At::Extension { size, length: 1 }, false),
            (At::Extension { size, length }, b'\r', _) => (At::Extension { size, length }, true),
            (At::Extension { size, length }, ..) if length < MOST_EXTENSION => {
                let length = length + 1;
                (At::Extension { size, length }, false)
            }
            (At::Trailer { is_blank }, b'\r', _) => (At::Trailer { is_blank }, true),
            (At::Trailer { is_blank: true }, b'\n', _) => (At::End, true),
            (At::Trailer { .. }, b'\n', _) => (At::Trailer { is_blank: true }, true),
            (At::Trailer { .. }, ..) => (At::Trailer { is_blank: false }, true),
            _ => (At::Broken, true),
        };
        self.at = next;
        kept
    }
}

/// What follows the line of this size: its bytes and the end of their line.
fn after(size: u64) -> At {
    match size {
        0 => At::Trailer { is_blank: true },
        size => At::Data(size.saturating_add(2)),
    }
}
