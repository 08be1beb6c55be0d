//! A stream of server-sent events, frame by frame.

use std::borrow::Cow;
use std::time::Duration;

use crate::sim::plan::Piece;

/// A stream of server-sent events, with the time of each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
    marks: Vec<Mark>,
}

/// Where a frame ends.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Duration,
    end: usize,
    part: Part,
}

/// What a frame is to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Filter results of the prompt, the role, and what else comes before the answer.
    Opening,
    /// Something of the answer.
    Content,
    /// A finish reason, or the event that closes a response.
    Finish,
    /// Usage, late filter results.
    Closing,
    /// `[DONE]`
    Done,
}

impl Frames {
    /// Room for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Frames {
            bytes: Vec::with_capacity(bytes),
            marks: Vec::new(),
        }
    }

    /// Adds a frame without a name, whose data `write` appends.
    pub(crate) fn data(&mut self, at: Duration, part: Part, write: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.extend_from_slice(b"data: ");
        write(&mut self.bytes);
        self.end(at, part);
    }

    /// Adds a frame with a name.
    pub(crate) fn event(&mut self, at: Duration, part: Part, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.extend_from_slice(b"event: ");
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(b'\n');
        self.data(at, part, write);
    }

    fn end(&mut self, at: Duration, part: Part) {
        self.bytes.extend_from_slice(b"\n\n");
        self.marks.push(Mark {
            at,
            end: self.bytes.len(),
            part,
        });
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.marks.len()
    }

    /// When the first frame goes out.
    pub(crate) fn first_at(&self) -> Duration {
        self.marks.first().map_or(Duration::ZERO, |mark| mark.at)
    }

    /// When the last frame goes out.
    pub(crate) fn last_at(&self) -> Duration {
        self.marks.last().map_or(Duration::ZERO, |mark| mark.at)
    }

    /// Keeps the first so many frames.
    pub(crate) fn cut(&mut self, frames: usize) {
        self.marks.truncate(frames);
        self.bytes.truncate(self.marks.last().map_or(0, |mark| mark.end));
    }

    /// Keeps half of the bytes; the last frame that is kept is broken.
    pub(crate) fn cut_bytes_in_half(&mut self) {
        let half = self.bytes.len() / 2;
        self.bytes.truncate(half);
        let whole = self.marks.iter().take_while(|mark| mark.end <= half).count();
        self.marks.truncate(whole + 1);
        if let Some(last) = self.marks.last_mut() {
            last.end = last.end.min(half);
        }
    }

    /// Keeps what comes before the first frame of this part.
    pub(crate) fn cut_before(&mut self, part: Part) {
        if let Some(position) = self.marks.iter().position(|mark| mark.part == part) {
            self.cut(position);
        }
    }

    /// Takes the blank line after the last frame away.
    pub(crate) fn drop_last_blank_line(&mut self) {
        if let Some(last) = self.marks.last_mut() {
            last.end -= 1;
            self.bytes.truncate(last.end);
        }
    }

    /// Lets lines end in CRLF.
    pub(crate) fn use_crlf(&mut self) {
        self.rewrite(|frame, out| {
            for byte in frame {
                if *byte == b'\n' {
                    out.push(b'\r');
                }
                out.push(*byte);
            }
        });
    }

    /// Puts a comment before each frame.
    pub(crate) fn add_comments(&mut self) {
        self.rewrite(|frame, out| {
            out.extend_from_slice(b": keep-alive\n\n");
            out.extend_from_slice(frame);
        });
    }

    fn rewrite(&mut self, rewrite: impl Fn(&[u8], &mut Vec<u8>)) {
        let old = std::mem::take(&mut self.bytes);
        let mut begin = 0;
        for mark in &mut self.marks {
            rewrite(&old[begin..mark.end], &mut self.bytes);
            begin = mark.end;
            mark.end = self.bytes.len();
        }
    }

    /// The frames as pieces. Those of one time are one piece, but the first is always one of its own, so that a stream
    /// is sent in chunks even where it comes all at once.
    pub(crate) fn into_pieces(self) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut begin = 0;
        for (position, mark) in self.marks.iter().enumerate() {
            let next = self.marks.get(position + 1);
            if position > 0 && next.is_some_and(|next| next.at == mark.at) {
                continue;
            }
            pieces.push(Piece {
                at: mark.at,
                bytes: Cow::Owned(self.bytes[begin..mark.end].to_vec()),
            });
            begin = mark.end;
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn three() -> Frames {
        let mut frames = Frames::default();
        frames.data(MS, Part::Opening, |out| out.push(b'1'));
        frames.event(2 * MS, Part::Content, "x", |out| out.push(b'2'));
        frames.data(2 * MS, Part::Done, |out| out.extend_from_slice(b"[DONE]"));
        frames
    }

    fn text(frames: Frames) -> String {
        let bytes: Vec<u8> = frames
            .into_pieces()
            .into_iter()
            .flat_map(|p| p.bytes.into_owned())
            .collect();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn frames_of_one_time_are_one_piece_but_the_first_stands_alone() {
        let pieces = three().into_pieces();
        let times: Vec<_> = pieces.iter().map(|piece| piece.at).collect();
        assert_eq!(times, [MS, 2 * MS]);
        let mut at_once = Frames::default();
        for _ in 0..3 {
            at_once.data(Duration::ZERO, Part::Content, |_| {});
        }
        assert_eq!(at_once.into_pieces().len(), 2);
    }

    #[test]
    fn frames_are_spoilt_as_asked() {
        type Spoil = fn(&mut Frames);
        let rows: [(Spoil, &str); 7] = [
            (|_| {}, "data: 1\n\nevent: x\ndata: 2\n\ndata: [DONE]\n\n"),
            (|f| f.cut(1), "data: 1\n\n"),
            (Frames::cut_bytes_in_half, "data: 1\n\nevent: x\nda"),
            (|f| f.cut_before(Part::Done), "data: 1\n\nevent: x\ndata: 2\n\n"),
            (
                Frames::drop_last_blank_line,
                "data: 1\n\nevent: x\ndata: 2\n\ndata: [DONE]\n",
            ),
            (
                Frames::use_crlf,
                "data: 1\r\n\r\nevent: x\r\ndata: 2\r\n\r\ndata: [DONE]\r\n\r\n",
            ),
            (
                Frames::add_comments,
                ": keep-alive\n\ndata: 1\n\n: keep-alive\n\nevent: x\ndata: 2\n\n: keep-alive\n\ndata: [DONE]\n\n",
            ),
        ];
        for (spoil, expected) in rows {
            let mut frames = three();
            spoil(&mut frames);
            assert_eq!(text(frames), expected);
        }
        assert_eq!(three().last_at(), 2 * MS);
    }
}
