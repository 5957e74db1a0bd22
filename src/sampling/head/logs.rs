//! Logs that follow the head decision about their trace: they go by its randomness, as its spans do.

use super::{HeadDecision, HeadSampler, HeadTally, decide_at};
use crate::codec::records::{ChunkRewriter, Item, LogView};
use crate::model::{Position, Signal};
use crate::sampling::log_mark::{log_state, write_marked_log};
use crate::sampling::rewrite::{Mark, Probability};

impl HeadSampler {
    /// Decides about a log, if the item is one.
    pub(super) fn log(
        &mut self,
        rewriter: &mut ChunkRewriter<'_>,
        item: &Item<'_>,
        position: Position,
        tally: &mut HeadTally,
    ) {
        let event = &item.event;
        let is_past = item.telemetry.is_some_and(|telemetry| telemetry.is_past(position));
        if item.signal() != Signal::Logs || is_past {
            return rewriter.keep(event.raw);
        }
        let tally = &mut tally.logs;
        tally.received += 1;
        let log = event.otlp().map(LogView::new).unwrap_or_default();
        let Some(id) = log.trace_id() else {
            tally.untraced += 1;
            return rewriter.keep(event.raw);
        };
        let mut state = log_state(event, &log);
        let session = self.sessions.as_mut().and_then(|sessions| sessions.of(id));
        let randomness = session.filter(|_| state.takes_randomness());
        state.randomness = state.randomness.or(randomness);
        let probability = match decide_at(self.threshold, id, state) {
            HeadDecision::Keep => Probability::Unchanged,
            HeadDecision::KeepWith(threshold) => Probability::AtLeast(threshold),
            HeadDecision::Drop => {
                tally.dropped += 1;
                rewriter.replace(event.raw);
                return;
            }
        };
        tally.kept += 1;
        let mark = Mark { probability, randomness, ..Mark::NONE };
        if mark == Mark::NONE {
            rewriter.keep(event.raw);
        } else {
            write_marked_log(event, mark, None, rewriter.replace(event.raw));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Tick;
    use crate::codec::msgpack::{MapView, text_of};
    use crate::codec::records::Events;
    use crate::codec::records::testing::{SpanRecord, chunk, log_event};
    use crate::sampling::{HeadLogTally, SessionKeys};
    use serde_json::{Value, json};

    const HIGH: u64 = 0x00ee_eeee_eeee_eeee;
    const LOW: u64 = 0x0011_1111_1111_1111;

    fn log(trace: u64, number: u64, attributes: &Value) -> Vec<u8> {
        let id = format!("0af7651916cd43dd{trace:016x}");
        let otlp = json!({ "v": 1, "signal": "log", "trace_id": id, "attributes": attributes, "event_name": "e" });
        log_event(5, &json!({ "otlp": otlp, "beside": 1 }), &json!({ "log": number }))
    }

    /// An ordinary log of the host's that has a trace id.
    fn ordinary(trace: u64) -> Vec<u8> {
        let id = format!("0af7651916cd43dd{trace:016x}");
        log_event(5, &json!({ "otlp": { "trace_id": id } }), &json!({ "log": "x" }))
    }

    /// (threshold, randomness) of each log in a stream of events.
    fn states(events: &[u8]) -> Vec<(String, String)> {
        let events = Events::new(events).map(Result::unwrap);
        events
            .map(|event| {
                let log = LogView::new(event.otlp().unwrap());
                let of = |key: &[u8]| {
                    let found = MapView::new(log.attributes).get(key);
                    let found = found.or_else(|| MapView::new(event.metadata).get(key));
                    found.and_then(text_of).unwrap_or_default().to_owned()
                };
                (of(b"sampling.threshold"), of(b"sampling.randomness"))
            })
            .collect()
    }

    fn sampled(sampler: &mut HeadSampler, chunk: &[u8], tally: &mut HeadTally) -> Vec<u8> {
        let position = Position { run: 1, after: 1 };
        sampler.on_chunk((b"ai", chunk), position, Tick(0), tally).unwrap_or_else(|| chunk.to_vec())
    }

    /// Guarantees: logs stay or go with the spans of their trace and say the threshold, higher ones of samplers before
    /// stay, ordinary logs stay ordinary, what has no trace id passes, a second time changes nothing, and without the
    /// option nothing changes at all.
    #[test]
    fn logs_go_by_the_randomness_of_their_trace() {
        let none = json!({});
        let given = [
            log(HIGH, 1, &none),
            log(LOW, 2, &none),
            log(LOW, 3, &json!({ "sampling.threshold": "c" })),
            log(HIGH, 4, &json!({ "sampling.threshold": "4", "k": "v" })),
            log(LOW, 5, &json!({ "sampling.randomness": "ffffffffffffff" })),
            ordinary(HIGH),
            ordinary(LOW),
        ];
        let given = given.concat();
        let mut sampler = HeadSampler::from_percentage(50.0).with_logs(true);
        let mut tally = HeadTally::default();
        let out = sampled(&mut sampler, &given, &mut tally);
        let of = |threshold: &str, randomness: &str| (threshold.to_owned(), randomness.to_owned());
        let want = [of("8", ""), of("c", ""), of("8", ""), of("8", "ffffffffffffff"), of("8", "")];
        assert_eq!(states(&out), want);
        let last = Events::new(&out).last().unwrap().unwrap();
        assert!(last.telemetry().unwrap().is_ordinary(&last));
        let logs = HeadLogTally { received: 7, kept: 5, untraced: 0, dropped: 2 };
        assert_eq!(tally.logs, logs);
        assert_eq!(sampled(&mut sampler, &out, &mut tally), out);
        let plain = log_event(5, &json!({}), &json!({ "log": "x" }));
        assert_eq!(sampled(&mut sampler, &plain, &mut tally), plain);
        assert_eq!((tally.logs.received, tally.logs.untraced, tally.received), (13, 1, 0));
        let mut without = HeadSampler::from_percentage(50.0);
        assert_eq!(sampled(&mut without, &given, &mut HeadTally::default()), given);
    }

    /// Guarantees: once the session of a trace is known, its logs go by it, as its spans do.
    #[test]
    fn logs_of_a_session_go_by_it() {
        let keys = SessionKeys::new(vec!["session.id".to_owned()], Some(b"a key of 16 bytes"));
        let mut sampler =
            HeadSampler::from_percentage(50.0).with_sessions(Some(keys)).with_logs(true);
        let mut kept = 0;
        for trace in 1..=100_u64 {
            let span = SpanRecord::new(trace, 1).with("session.id", format!("s{trace}").as_str());
            let mut tally = HeadTally::default();
            let spans = sampled(&mut sampler, &chunk(&[span]), &mut tally);
            let logs = sampled(&mut sampler, &log(trace, 1, &json!({})), &mut tally);
            assert_eq!(spans.is_empty(), logs.is_empty());
            assert!(logs.is_empty() || states(&logs)[0].1.len() == 14);
            kept += usize::from(!logs.is_empty());
        }
        assert!((25..=75).contains(&kept), "{kept}");
    }
}
