//! How a good answer is spoilt.

use std::borrow::Cow;
use std::time::Duration;

use super::config::{FaultKind, SimOperation};
use super::plan::{Ending, Piece, Plan};
use super::reply::{Frames, Part, put};

/// An error in the middle of a stream.
const ERROR: &[u8] = br#"{"error":{"message":"The server had an error while processing your request. Sorry about that!","type":"server_error","param":null,"code":null}}"#;

/// The same as the Responses API has it, but for the event's number.
const RESPONSES_ERROR: &[u8] = br#"{"type":"error","error":{"message":"The server had an error while processing your request. Sorry about that!","type":"server_error","param":null,"code":null},"sequence_number":"#;

/// Spoils a body that comes whole.
pub(crate) fn body(body: &mut Vec<u8>, fault: FaultKind) -> Ending {
    match fault {
        FaultKind::HalfBody | FaultKind::CutStream { .. } => {
            body.truncate(body.len() / 2);
            Ending::Cut
        }
        FaultKind::HalfBodyReset => {
            body.truncate(body.len() / 2);
            Ending::Reset
        }
        FaultKind::StallStream { .. } => {
            body.truncate(body.len() / 2);
            Ending::Stall
        }
        FaultKind::ErrorEvent { .. } => {
            *body = ERROR.to_vec();
            Ending::Clean
        }
        FaultKind::BadJson => {
            body.truncate(body.len() * 2 / 3);
            Ending::Clean
        }
        _ => Ending::Clean,
    }
}

/// Spoils a stream.
pub(crate) fn frames(frames: &mut Frames, fault: FaultKind, operation: SimOperation) -> Ending {
    match fault {
        FaultKind::CutStream { frames: kept } => {
            frames.cut(kept as usize);
            Ending::Cut
        }
        FaultKind::StallStream { frames: kept } => {
            frames.cut(kept as usize);
            Ending::Stall
        }
        FaultKind::HalfBody => {
            frames.cut_bytes_in_half();
            Ending::Cut
        }
        FaultKind::HalfBodyReset => {
            frames.cut_bytes_in_half();
            Ending::Reset
        }
        FaultKind::ErrorEvent { frames: kept } => {
            let at = frames.first_at();
            frames.cut(kept as usize);
            let at = frames.last_at().max(at);
            if operation == SimOperation::Responses {
                let number = frames.len();
                frames.event(at, Part::Finish, "error", |out| {
                    out.extend_from_slice(RESPONSES_ERROR);
                    put!(out, "{number}}}");
                });
            } else {
                frames.data(at, Part::Finish, |out| out.extend_from_slice(ERROR));
            }
            Ending::Clean
        }
        FaultKind::BadJson => {
            let at = frames.first_at();
            frames.cut_before(Part::Finish);
            let at = frames.last_at().max(at);
            frames.data(at, Part::Content, |out| {
                out.extend_from_slice(b"{\"choices\":[{\"delta\":{\"content\":");
            });
            Ending::Clean
        }
        FaultKind::NoFinish => {
            frames.cut_before(Part::Finish);
            Ending::Clean
        }
        FaultKind::NoDone => {
            frames.cut_before(Part::Done);
            Ending::Clean
        }
        FaultKind::DoneWithoutBlankLine => {
            frames.drop_last_blank_line();
            Ending::Clean
        }
        FaultKind::Crlf => {
            frames.use_crlf();
            Ending::Clean
        }
        FaultKind::Comments => {
            frames.add_comments();
            Ending::Clean
        }
        _ => Ending::Clean,
    }
}

/// Changes when a reply goes out.
pub(crate) fn pace(plan: &mut Plan, fault: FaultKind) {
    match fault {
        FaultKind::SlowFirstByte { ms } => {
            let late = Duration::from_millis(ms.into());
            plan.head_at += late;
            for piece in &mut plan.body {
                piece.at += late;
            }
        }
        FaultKind::Drip { bytes, every_ms } => {
            let pause = Duration::from_millis(every_ms.into());
            let mut at = plan.head_at;
            let mut drops = Vec::new();
            for piece in plan.body.drain(..) {
                at = at.max(piece.at);
                for drop in piece.bytes.chunks(bytes as usize) {
                    drops.push(Piece {
                        at,
                        bytes: Cow::Owned(drop.to_vec()),
                    });
                    at += pause;
                }
            }
            plan.body = drops;
        }
        _ => {}
    }
}
