//! Doors to what servers answer, for the fuzzer and for its short form in the tests.

use std::str::FromStr;

#[cfg(test)]
use hickory_proto::op::MessageType;
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};

use super::{in_flight, propagation, sse};

/// Metrics in Prometheus' text format: whatever they say, the answer is a number or a reason.
pub fn metrics(text: &str) {
    in_flight::any_load(text);
}

/// A stream of events: the same events, however it is cut.
pub fn events(bytes: &[u8], cut: usize) {
    let whole = sse::Events::default().push(bytes);
    let mut reader = sse::Events::default();
    let pieces: Vec<String> = bytes.chunks(cut.max(1)).flat_map(|piece| reader.push(piece)).collect();
    assert_eq!(whole, pieces, "the events depend on how the stream was cut");
}

/// What a name server answers to one question; whether it fits.
pub fn dns(bytes: &[u8]) -> bool {
    let answer = propagation::fitting(bytes, &question());
    if let Some(answer) = &answer {
        assert_eq!(answer.metadata.id, question().metadata.id, "an answer to another question was taken");
    }
    answer.is_some()
}

fn question() -> Message {
    let mut question = Message::query();
    question.metadata.id = 7;
    question.add_query(Query::query(Name::from_str("chat.lab.").expect("BUG: a good name"), RecordType::A));
    question
}

/// An answer that fits, to be damaged.
#[cfg(test)]
pub(crate) fn an_answer() -> Vec<u8> {
    let mut answer = question();
    answer.metadata.message_type = MessageType::Response;
    answer.answers.push(propagation::testing::a("chat.lab.", 60, "192.0.2.1"));
    answer.to_vec().expect("BUG: a good answer")
}
