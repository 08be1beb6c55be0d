//! The buffers of a connection, of which a part of the output may wait to be sent together with what follows.

use ureq::unversioned::transport::Buffers;

use super::incoming::Given;

/// The buffers of a connection; each is there once it is used.
pub(super) struct Room {
    input: Box<[u8]>,
    input_size: usize,
    /// Where in `input` lies what has come and is not consumed: up to `ready` it is for the client, up to `end` it waits to be
    /// brought into form.
    start: usize,
    ready: usize,
    end: usize,
    /// The last look at the input consumed some of it.
    progress: bool,
    output: Vec<u8>,
    output_size: usize,
    /// So many bytes at the start of the output are waiting.
    pending: usize,
}

impl Room {
    pub(super) fn new(input: usize, output: usize) -> Self {
        Room {
            input: Box::default(),
            input_size: input,
            start: 0,
            ready: 0,
            end: 0,
            progress: false,
            output: Vec::new(),
            output_size: output,
            pending: 0,
        }
    }

    /// What is to be written.
    pub(super) fn pending(&self) -> &[u8] {
        &self.output[..self.pending]
    }

    /// Whether nothing is to be written, and nothing of what has come is left.
    pub(super) fn is_empty(&self) -> bool {
        self.pending == 0 && self.start == self.end
    }

    /// `amount` more bytes stand in the output.
    pub(super) fn add_pending(&mut self, amount: usize) {
        self.pending += amount;
    }

    /// Whether what is pending should go now. What remains for a line of the head is three quarters of the buffer.
    pub(super) fn is_well_filled(&self) -> bool {
        self.pending > self.output_size / 4
    }

    /// What was pending is written.
    pub(super) fn written(&mut self) {
        self.pending = 0;
        // It may have grown by lines that were inserted.
        self.output.truncate(self.output_size);
        self.output.shrink_to(self.output_size);
    }

    /// Puts `lines` behind the first line of what is pending.
    pub(super) fn insert_after_first_line(&mut self, lines: &[u8]) {
        let first = self.pending().windows(2).position(|pair| pair == b"\r\n");
        let at = first.map_or(self.pending, |at| at + 2);
        self.output.splice(at..at, lines.iter().copied());
        self.pending += lines.len();
    }

    /// Where what comes can be put.
    pub(super) fn free(&mut self) -> &mut [u8] {
        if self.input.is_empty() {
            self.input = vec![0; self.input_size].into();
        }
        if self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            self.ready -= self.start;
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.input[self.end..]
    }

    /// `amount` bytes have been put there.
    pub(super) fn filled(&mut self, amount: usize) {
        self.end += amount;
    }

    /// What waits to be brought into form.
    pub(super) fn waiting(&mut self) -> &mut [u8] {
        &mut self.input[self.ready..self.end]
    }

    /// What waits has been brought into form.
    pub(super) fn given(&mut self, given: &Given) {
        if given.skipped > 0 {
            // Only before a head, when the client has nothing.
            debug_assert_eq!(self.start, self.ready);
            self.ready += given.skipped;
            self.start = self.ready;
        }
        self.ready += given.ready;
        self.input.copy_within(self.ready + given.dropped..self.end, self.ready);
        self.end -= given.dropped;
    }

    /// Makes more room for what comes; false where there is as much as there may be.
    pub(super) fn grow(&mut self, most: usize) -> bool {
        let size = (2 * self.input.len()).min(most);
        if size <= self.input.len() {
            return false;
        }
        let mut input = vec![0; size];
        input[..self.input.len()].copy_from_slice(&self.input);
        self.input = input.into();
        true
    }

    /// Gives back what has been grown, where it is empty.
    pub(super) fn shrink(&mut self) {
        if self.input.len() > self.input_size && self.start == self.end {
            self.input = Box::default();
            (self.start, self.ready, self.end) = (0, 0, 0);
        }
    }
}

impl Buffers for Room {
    fn output(&mut self) -> &mut [u8] {
        if self.output.len() < self.output_size {
            self.output.resize(self.output_size, 0);
        }
        &mut self.output[self.pending..]
    }

    fn input(&self) -> &[u8] {
        &self.input[self.start..self.ready]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        self.free()
    }

    fn input_appended(&mut self, amount: usize) {
        self.filled(amount);
    }

    fn input_consume(&mut self, amount: usize) {
        self.progress = amount > 0;
        self.start += amount;
    }

    /// No scratch space: the client needs it for bodies without a length, of which there are none.
    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        (&mut [], self.output())
    }

    fn can_use_input(&self) -> bool {
        self.start < self.ready && self.progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pending_stays_in_front_of_what_follows() {
        let mut room = Room::new(64, 64);
        room.output()[..3].copy_from_slice(b"abc");
        room.add_pending(3);
        assert!(!room.is_well_filled());
        let (_, output) = room.tmp_and_output();
        output[..2].copy_from_slice(b"de");
        room.add_pending(2);
        assert_eq!(room.pending(), b"abcde");
        room.add_pending(12);
        assert!(room.is_well_filled());
        assert_eq!(room.output().len(), 64 - 17);
    }

    #[test]
    fn lines_are_inserted_whatever_their_size_and_the_room_is_given_back() {
        let mut room = Room::new(64, 64);
        let head = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n";
        room.output()[..head.len()].copy_from_slice(head);
        room.add_pending(head.len());
        let lines = [&b"k: "[..], &[b'v'; 200], b"\r\n"].concat();
        room.insert_after_first_line(&lines);
        assert_eq!(
            room.pending(),
            [b"GET / HTTP/1.1\r\n", &*lines, b"host: h\r\n\r\n"].concat()
        );
        assert_eq!(
            room.output().len(),
            64 - head.len(),
            "what follows has as much room as before"
        );
        room.written();
        assert_eq!((room.pending().len(), room.output().len()), (0, 64));
        assert!(room.output.capacity() < 128, "{}", room.output.capacity());
    }

    #[test]
    fn what_has_come_keeps_its_order_while_it_is_consumed() {
        let mut room = Room::new(8, 8);
        assert!(room.input().is_empty());
        let come = |room: &mut Room, bytes: &[u8]| {
            room.free()[..bytes.len()].copy_from_slice(bytes);
            room.filled(bytes.len());
            let ready = room.waiting().len();
            let given = Given {
                ready,
                ..Given::default()
            };
            room.given(&given);
        };
        come(&mut room, b"abcdef");
        assert!(!room.can_use_input(), "nothing of it has proved to be of use");
        room.input_consume(4);
        assert!(room.can_use_input());
        assert_eq!(room.free().len(), 6);
        come(&mut room, b"gh");
        assert_eq!(room.input(), b"efgh");
        room.input_consume(0);
        assert!(!room.can_use_input());
    }

    #[test]
    fn what_is_not_in_form_waits_and_what_is_of_no_use_is_dropped() {
        let mut room = Room::new(8, 8);
        room.free().copy_from_slice(b"..abcxyd");
        room.filled(6);
        room.given(&Given {
            skipped: 2,
            ready: 2,
            ..Given::default()
        });
        assert_eq!(room.input(), b"ab");
        assert_eq!(room.waiting(), b"cx");
        room.filled(2);
        room.given(&Given {
            ready: 1,
            dropped: 2,
            ..Given::default()
        });
        assert_eq!(room.input(), b"abc");
        assert_eq!(room.waiting(), b"d");
        assert!(room.grow(12), "it grows");
        assert!(!room.grow(12), "as far as it may");
        assert_eq!(room.free().len(), 8);
        assert_eq!(room.input(), b"abc");
        room.shrink();
        assert_eq!(room.input.len(), 12, "not while it holds anything");
        room.given(&Given {
            ready: 1,
            ..Given::default()
        });
        room.input_consume(4);
        room.shrink();
        assert!(room.input.is_empty() && room.is_empty());
        assert_eq!(room.free().len(), 8);
    }
}
