//! Sessions whose traces stay or go together, on hosts.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::task::block_in_place;

use crate::arrived;
use crate::hosts::free_port;
use crate::meters::{page_when, start};
use crate::sampling::send_spans;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

const SESSIONS: u8 = 12;
const TRACES: u8 = 5;

/// Two spans of a trace, of which the second names the session.
fn trace(session: u8, trace: u8) -> Vec<Span> {
    let key = if trace.is_multiple_of(2) { "gen_ai.conversation.id" } else { "session.id" };
    let value = Some(AnyValue { value: Some(Value::StringValue(format!("session {session}"))) });
    let name = KeyValue { key: key.to_owned(), value, ..KeyValue::default() };
    let span = |number: u8, attributes| Span {
        // Ids with all kinds of randomness.
        trace_id: [
            [7, session + 1, trace, 3].repeat(2),
            [trace * 51, session * 21, 1, 9].repeat(2),
        ]
        .concat(),
        span_id: vec![session + 1, trace, number, 1, 1, 1, 1, 1],
        name: format!("{session}"),
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        attributes,
        ..Span::default()
    };
    vec![span(1, Vec::new()), span(2, vec![name])]
}

/// Scenario: sessions of five traces each, each trace in a request of its own, through head and through
/// tail sampling at 50 %. Guarantees: all spans of a session arrive or none, all with the session's
/// randomness; both modes agree, and every host with every other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn traces_of_a_session_stay_or_go_together() {
    let _together = together();
    let plugins = linked();
    let mut agreed: Option<BTreeMap<String, String>> = None;
    for host in all_hosts() {
        for mode in ["mode: head", "mode: tail"] {
            let what = format!("{}, {mode}", host.title());
            let sink = Sink::start(0, Keep::Requests).await;
            let http = free_port();
            let options = [
                "name: ai_sampling",
                "match: 'ai*'",
                mode,
                "sampling_percentage: 50",
                "session_attributes: gen_ai.conversation.id, session.id",
                "session_hash_key: sixteen bytes at least",
                "decision_wait: 1s",
            ];
            // Head sampling refuses what needs the other mode.
            let options = if mode == "mode: tail" { &options[..] } else { &options[..6] };
            let pipeline = Pipeline::default().otlp_in(http, 0).filter(options).otlp_out(&[(
                "sink",
                sink.port,
                "http/protobuf",
            )]);
            let (running, port) = start(&host, plugins.path(), pipeline, http);
            for session in 0..SESSIONS {
                for number in 0..TRACES {
                    send_spans(http, trace(session, number)).await;
                }
            }
            let all = u64::from(SESSIONS) * u64::from(TRACES) * 2;
            let page = page_when((&host, &running, port), &what, |page| {
                let decided = ["kept_spans_total", "dropped_spans_total"];
                page.has(decided[0])
                    && decided.iter().map(|name| page.sum(name, &[])).sum::<u64>() == all
            })
            .await;
            let decided = page.sum("session_spans_total", &[("outcome", "decided")]);
            assert_eq!(decided, all, "{what}");
            let (code, log) = block_in_place(|| running.stop());
            assert_eq!(code, Some(0), "{what}: {log}");
            let mut kept: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            let spans = arrived::spans(&sink);
            for span in &spans {
                kept.entry(span.name.clone()).or_default().insert(span.trace_state.clone());
            }
            assert_eq!(spans.len(), kept.len() * usize::from(TRACES) * 2, "{what}: {kept:?}");
            assert!((1..SESSIONS.into()).contains(&kept.len()), "{what}: {kept:?}");
            assert!(kept.values().all(|states| states.len() == 1), "{what}: {kept:?}");
            let kept: BTreeMap<String, String> = kept
                .into_iter()
                .map(|(session, states)| (session, states.into_iter().next().unwrap()))
                .collect();
            assert!(
                kept.values().all(|state| state.starts_with("ot=th:8;rv:")),
                "{what}: {kept:?}"
            );
            let former = agreed.get_or_insert_with(|| kept.clone());
            assert_eq!(*former, kept, "{what}");
        }
    }
}
