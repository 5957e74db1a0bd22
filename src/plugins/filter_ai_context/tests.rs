//! The filter `ai_context` as the host sees it.

use std::sync::Arc;

use super::AiContext;
use crate::clock;
use crate::codec::msgpack;
use crate::codec::records::testing::SpanRecord;
use crate::hub::{Drain, Hub, drain};
use crate::plugin::{Chunk, Environment, Filter, GivenOptions, OpenError, Verdict};
use crate::stats::{Counters, Log};

fn open(given: &[(&str, &str)]) -> (Result<AiContext, OpenError>, Arc<Counters>) {
    let counters = Arc::new(Counters::default());
    let environment = Environment {
        instance: "ai_context.0".to_owned(),
        hub: Arc::new(Hub::new(7)),
        position: 1,
        host_release: "4.2.0".to_owned(),
        log_groups: true,
        native_chunks: true,
        counters: Arc::clone(&counters),
        log: Arc::new(Log::default()),
    };
    (AiContext::open(&GivenOptions::of(given), environment), counters)
}

/// The same where an input emits what the filter lets go later.
fn open_beside_an_emitter(given: &[(&str, &str)]) -> (AiContext, Arc<Hub>, Arc<Counters>) {
    let (hub, counters) = (Arc::new(Hub::new(7)), Arc::new(Counters::default()));
    hub.add_emitter();
    let environment = Environment {
        instance: "ai_context.0".to_owned(),
        hub: Arc::clone(&hub),
        position: 1,
        host_release: "4.2.0".to_owned(),
        log_groups: true,
        native_chunks: true,
        counters: Arc::clone(&counters),
        log: Arc::new(Log::default()),
    };
    (AiContext::open(&GivenOptions::of(given), environment).unwrap(), hub, counters)
}

fn log_of(text: &str) -> Vec<u8> {
    let mut chunk = vec![0x92, 0x92, 0x05, 0x80];
    msgpack::map_header(&mut chunk, 1);
    msgpack::str(&mut chunk, "log");
    msgpack::str(&mut chunk, text);
    chunk
}

#[test]
fn every_wrong_option_is_named() {
    let wrong = [
        ("redact", "email, passwords"),
        ("redact_with", "burn"),
        ("normalize", "x"),
        ("mark_findings", "perhaps"),
        ("copy_metadata", "perhaps"),
        ("record_key", " "),
    ];
    let Err(OpenError(problems)) = open(&wrong).0 else { panic!("opened") };
    assert_eq!(problems.len(), 6);
    let allowed = "option 'redact_with': 'burn' is not allowed; allowed: mask, hash, drop";
    assert!(problems.iter().any(|problem| problem == allowed), "{problems:?}");
    let redact = problems.iter().find(|problem| problem.contains("'passwords'")).unwrap();
    assert!(redact.contains("allowed: secrets, email, credit_card, iban, ssn, phone, ip"));
}

#[test]
fn hashes_need_a_key_which_no_mistake_shows() {
    let key = "a-secret-of-mine";
    for wrong in [
        &[("redact_with", "hash")][..],
        &[("redact_with", "hash"), ("redact_hash_key", "a-secret-of-min")],
        &[("redact_hash_key", key)],
        &[("redact_with", "drop"), ("redact_hash_key", key)],
    ] {
        let Err(OpenError(problems)) = open(wrong).0 else { panic!("opened") };
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("redact_hash_key"), "{problems:?}");
        assert!(!problems[0].contains("a-secret"), "{problems:?}");
    }
    let given = [("redact", "email"), ("redact_with", "hash"), ("redact_hash_key", key)];
    let mut filter = open(&given).0.unwrap();
    let dirty = log_of("joe@x.com");
    let Verdict::Replace(clean) = filter.on_chunk(Chunk { tag: b"t", bytes: &dirty }) else {
        panic!("not redacted")
    };
    assert!(clean.windows(7).any(|part| part == b"[email:"));
}

#[test]
fn a_file_gives_options_and_patterns() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let text = "redact: [email]\nnormalize: false\n\
                patterns:\n  - {name: ticket, regex: 'TCK-[0-9]+', replacement: a ticket}\n";
    std::fs::write(path, text).unwrap();
    let (filter, counters) = open(&[("config_file", path)]);
    let dirty = log_of("joe@x.com of TCK-1 and TCK-2");
    let verdict = filter.unwrap().on_chunk(Chunk { tag: b"t", bytes: &dirty });
    assert_eq!(verdict, Verdict::Replace(log_of("[email] of a ticket and a ticket")));
    let readings = counters.readings();
    let of_ticket = |reading: &&crate::stats::CounterReading| reading.labels == ["ticket"];
    assert_eq!(readings.iter().find(of_ticket).unwrap().counter.value(), 2);
    let Err(OpenError(problems)) =
        open(&[("config_file", path), ("redact", "ip"), ("correlate", "?")]).0
    else {
        panic!("opened")
    };
    assert_eq!(problems.len(), 2, "{problems:?}");
    let twice = format!("config_file '{path}': redact: it is given in the pipeline too");
    assert!(problems[0].starts_with(&twice), "{problems:?}");
}

/// Scenario: a file with an own mapping and one with a mistake in it. Guarantees: spans are counted under
/// the own name; the mistake is told with the file and its place.
#[test]
fn own_mappings_are_counted_by_their_name() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let text = "dialects:\n  - name: counted_here\n    rules:\n      \
                - {key: counted_here.model, to: gen_ai.request.model}\n";
    std::fs::write(path, text).unwrap();
    let (filter, counters) = open(&[("config_file", path)]);
    let metadata = serde_json::json!({ "otlp": { "v": 1, "signal": "span" } });
    let body = serde_json::json!({ "attributes": { "counted_here.model": "m" } });
    let chunk = crate::codec::records::testing::log_event(1, &metadata, &body);
    let verdict = filter.unwrap().on_chunk(Chunk { tag: b"t", bytes: &chunk });
    assert!(matches!(verdict, Verdict::Replace(_)));
    let counts: Vec<(String, u64)> = counters
        .readings()
        .iter()
        .filter(|reading| reading.family.name == "normalized_spans_total")
        .map(|reading| (reading.labels[0].clone(), reading.counter.value()))
        .filter(|(_, count)| *count > 0)
        .collect();
    assert_eq!(counts, [("counted_here".to_owned(), 1)]);
    std::fs::write(path, text.replace("rules", "rulez")).unwrap();
    let Err(OpenError(problems)) = open(&[("config_file", path)]).0 else { panic!("opened") };
    let want = format!("config_file '{path}': line ");
    let rest = problems[0].strip_prefix(&want).unwrap();
    assert!(rest.contains(": dialects[0].rulez: this key is not known; allowed keys: "), "{rest}");
}

#[test]
fn chunks_are_redacted_and_counted() {
    let (filter, counters) = open(&[("redact", "email,Secrets")]);
    let mut filter = filter.unwrap();
    let value = |name: &str, label: &str| {
        let readings = counters.readings();
        let found = readings.iter().find(|reading| {
            reading.family.name == name && reading.labels.first().is_none_or(|l| l == label)
        });
        found.unwrap().counter.value()
    };
    let clean = log_of("nothing");
    let verdict = filter.on_chunk(Chunk { tag: b"t", bytes: &clean });
    assert_eq!(verdict, Verdict::Pass);
    let dirty = log_of("joe@x.com");
    let verdict = filter.on_chunk(Chunk { tag: b"t", bytes: &dirty });
    assert_eq!(verdict, Verdict::Replace(log_of("[email]")));
    assert_eq!(value("redactions_total", "email"), 1);
    assert_eq!(value("redactions_total", "secrets"), 0);
    let verdict = filter.on_chunk(Chunk { tag: b"t", bytes: b"\xc1" });
    assert_eq!(verdict, Verdict::Replace(Vec::new()));
    assert_eq!(value("malformed_events_total", ""), 1);
    assert_eq!(value("redaction_failures_total", "unreadable"), 1);
    // Where nothing is redacted there is nothing to keep in.
    let mut idle = open(&[]).0.unwrap();
    assert_eq!(idle.on_chunk(Chunk { tag: b"t", bytes: b"\xc1" }), Verdict::Pass);
    assert!(idle.fallback().is_none() && filter.fallback().is_some());
}

#[test]
fn quarantine_needs_a_tag_an_emitter_and_something_to_redact() {
    let emitter = "there is no input that emits";
    for (given, wrong) in [
        (&[("on_failure", "quarantine"), ("redact", "ip")][..], "quarantine_tag' is missing"),
        (&[("on_failure", "quarantine"), ("quarantine_tag", "q")], "needs 'redact'"),
        (&[("redact", "ip"), ("quarantine_tag", "q")], "needs 'on_failure: quarantine'"),
        (&[("redact", "ip"), ("on_failure", "quarantine"), ("quarantine_tag", "q")], emitter),
        (&[("on_failure", "burn")], "allowed: drop, quarantine, pass"),
        (&[("redact_resource", "on")], "need something to redact"),
        (&[("redact_allow_keys", "a")], "need something to redact"),
        (&[("redact_content", "prose")], "allowed: conversation, tools, errors"),
    ] {
        let Err(OpenError(problems)) = open(given).0 else { panic!("opened: {given:?}") };
        assert!(problems.iter().any(|problem| problem.contains(wrong)), "{problems:?}");
    }
}

#[test]
fn options_of_the_identity_fit_together() {
    for (given, words) in [
        (&[("identify", "k8s, pod")][..], "'pod' is not allowed; allowed: env, container, k8s, "),
        (&[("identify", "process")], "'identify_process' is missing"),
        (&[("identify", "process"), ("identify_process", "x")], "a path such as /run/engine.pid"),
        (&[("identify", "env"), ("identify_process", "1")], "needs 'identify: process'"),
        (&[("identify", "env"), ("identify_root", "host")], "allowed: a path such as /etc/podinfo"),
        (&[("identify_root", "/host")], "'identify_root': it is given, but needs 'identify'"),
        (&[("identify", "env"), ("identify_refresh", "10ms")], "a duration from 1s on"),
    ] {
        let Err(OpenError(problems)) = open(given).0 else { panic!("opened: {given:?}") };
        assert!(problems.iter().any(|problem| problem.contains(words)), "{problems:?}");
    }
}

#[test]
fn logs_get_the_identity_of_their_pod() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("etc/podinfo")).unwrap();
    std::fs::write(folder.path().join("etc/podinfo/name"), "shop-0").unwrap();
    let root = folder.path().to_str().unwrap();
    let (filter, counters) = open(&[("identify", "k8s"), ("identify_root", root)]);
    let mut filter = filter.unwrap();
    let Verdict::Replace(log) = filter.on_chunk(Chunk { tag: b"t", bytes: &log_of("x") }) else {
        panic!("not identified")
    };
    assert!(log.windows(6).any(|part| part == b"shop-0"));
    assert_eq!(filter.on_chunk(Chunk { tag: b"t", bytes: &log }), Verdict::Pass);
    let readings = counters.readings();
    let of = |name: &str| {
        readings.iter().find(|reading| reading.family.name == name).unwrap().counter.value()
    };
    assert_eq!((of("identified_records_total"), of("identity_withheld_records_total")), (1, 0));
}

#[test]
fn correlation_by_ids_needs_an_emitter_and_options_that_fit() {
    let needs = "it needs 'correlate_by' or 'correlate_keys'";
    for (given, words) in [
        (&[("correlate_by", "request")][..], "there is no input that emits"),
        (&[("correlate_by", "requests")], "allowed: request, response, conversation, session"),
        (&[("correlate_keys", "order.id, --")], "'--' is not allowed; allowed: a key with letters"),
        (&[("correlate_by", "session"), ("correlate", "off")], "need 'correlate: on'"),
        (&[("correlate_keys", "x"), ("copy_metadata", "on")], "in another ai_context after this"),
        (&[("correlate_window", "20s")], needs),
        (&[("correlate_max_memory", "1m")], needs),
        (&[("correlate_by", "request"), ("correlate_window", "1h")], "from 1s to 10m"),
        (&[("correlate_by", "request"), ("correlate_max_memory", "1k")], "at least 64k"),
    ] {
        let Err(OpenError(problems)) = open(given).0 else { panic!("opened: {given:?}") };
        assert!(problems.iter().any(|problem| problem.contains(words)), "{problems:?}");
    }
    assert!(open(&[("correlate_window", "10s"), ("correlate_max_memory", "16m")]).0.is_ok());
}

#[test]
fn options_that_look_at_traces_fit_together() {
    let needs = "it needs 'inherit'";
    for (given, words) in [
        (&[("inherit", "users")][..], "allowed: tenant, user, session, conversation, prompt"),
        (&[("inherit", "user"), ("inherit_wait", "5s")], "there is no input that emits"),
        (&[("inherit", "user"), ("inherit_wait", "60s")], "allowed: less than inherit_window"),
        (&[("inherit", "user"), ("inherit_wait", "1h")], "a duration up to 5m"),
        (&[("inherit", "user"), ("inherit_window", "2h")], "from 1s to 1h"),
        (&[("inherit", "user"), ("inherit_max_memory", "1k")], "at least 64k"),
        (&[("inherit", "user"), ("inherit_tenant_keys", "org")], "it needs 'inherit: tenant'"),
        (&[("inherit", "tenant"), ("inherit_tenant_keys", "a,b,c,d,e,f,g,h,i")], "one to eight"),
        (&[("inherit", "user"), ("copy_metadata", "on")], "in another ai_context after this"),
        (&[("inherit_wait", "5s")], needs),
        (&[("inherit_window", "5s")], needs),
        (&[("inherit_tenant_keys", "org")], needs),
        (&[("inherit_max_memory", "1m")], needs),
        (&[("split_latency", "on")], "there is no input that emits"),
        (&[("split_latency", "on"), ("split_latency_wait", "0s")], "a duration from 1s to 5m"),
        (&[("split_latency", "on"), ("split_latency_max_memory", "1k")], "at least 64k"),
        (&[("split_latency_wait", "5s")], "it needs 'split_latency: on'"),
        (&[("split_latency_max_memory", "1m")], "it needs 'split_latency: on'"),
        (
            &[("split_latency", "on"), ("inherit", "user"), ("inherit_wait", "5s")],
            "allowed beside 'split_latency': 0s, or at least split_latency_wait",
        ),
        (&[("server_state", "on"), ("server_state_max_age", "0s")], "a duration from 1s to 1h"),
        (&[("server_state_max_age", "5s")], "it needs 'server_state: on'"),
        (&[("server_state_max_memory", "1m")], "it needs 'server_state: on'"),
        (&[("find_broken", "on")], "there is no input that emits"),
        (&[("find_broken", "on"), ("find_broken_window", "2h")], "from 1s to 1h"),
        (&[("find_broken", "on"), ("find_broken_tolerance", "2h")], "a duration up to 1h"),
        (&[("find_broken_window", "1m")], "it needs 'find_broken: on'"),
        (&[("find_broken_tolerance", "1s")], "it needs 'find_broken: on'"),
        (&[("find_broken_max_memory", "1m")], "it needs 'find_broken: on'"),
        (&[("find_broken_temporality", "cumulative")], "it needs 'find_broken: on'"),
        (&[("baggage_keys", "a, *")], "'*' is not allowed; allowed: keys of letters"),
    ] {
        let Err(OpenError(problems)) = open(given).0 else { panic!("opened: {given:?}") };
        assert!(problems.iter().any(|problem| problem.contains(words)), "{problems:?}");
    }
    assert!(open(&[("inherit", "Tenant,prompt"), ("inherit_wait", "0s")]).0.is_ok());
    let idle = open(&[]).0.unwrap();
    let stages = &idle.trace_stages;
    assert!(stages.inheritance.is_none() && stages.correlation.is_none());
    assert!(stages.broken_context.is_none() && stages.latency.is_none());
    assert!(stages.server_state.is_none());
    assert!(open(&[("server_state", "on")]).0.is_ok(), "nothing waits for it");
}

/// Scenario: baggage with an address and a user, redaction, and a span of the same trace that shows no
/// baggage. Guarantees: what comes from baggage is redacted before it is inherited, and both are counted.
#[test]
fn baggage_is_redacted_and_inherited() {
    let given = [("baggage_keys", "user.id,mail"), ("inherit", "user"), ("redact", "email")];
    let (filter, counters) = open(&given);
    let mut filter = filter.unwrap();
    let shows = SpanRecord::new(1, 2).with("baggage", "user.id=u-1,mail=joe%40x.com").encode();
    let other = SpanRecord::new(1, 3).encode();
    let chunk = [shows, other].concat();
    let Verdict::Replace(out) = filter.on_chunk(Chunk { tag: b"t", bytes: &chunk }) else {
        panic!("nothing was put on")
    };
    let count = |part: &[u8]| out.windows(part.len()).filter(|window| *window == part).count();
    assert_eq!((count(b"\xa7user.id"), count(b"[email]"), count(b"joe@x.com")), (2, 1, 0));
    let value = |name: &str, label: &str| {
        let readings = counters.readings();
        let found = readings.iter().find(|reading| {
            reading.family.name == name && reading.labels.first().is_none_or(|l| l == label)
        });
        found.unwrap().counter.value()
    };
    assert_eq!(value("baggage_attributes_total", ""), 2);
    assert_eq!(value("inherited_attributes_total", "user"), 1);
    assert!(value("inheritance_held_bytes", "") > 0);
}

/// Scenario: a client's span without a user, which waits for that of its trace, a model server's span in a
/// dialect of its own, and the latency split. Guarantees: the span waits once, and has the user and the parts
/// when it leaves.
#[test]
fn a_span_that_waits_for_its_user_gets_its_latency_too() {
    let given = [("split_latency", "on"), ("inherit", "user"), ("inherit_wait", "20s")];
    let (mut filter, hub, counters) = open_beside_an_emitter(&given);
    let user = |span: SpanRecord| {
        ["user.id", "user.hash", "enduser.id", "enduser.pseudo.id"]
            .into_iter()
            .fold(span, |span, key| span.with(key, "u-1"))
    };
    let call = SpanRecord::new(1, 1).times(1000, 1100).with("llm.request.type", "chat");
    let call = call.with("gen_ai.operation.name", "acompletion").with("litellm.call_id", "x");
    let engine = user(SpanRecord::new(1, 2).parent(1).service("vllm").kind("server"))
        .times(1000, 1060)
        .with("gen_ai.latency.time_in_queue", 0.01);
    let known = user(SpanRecord::new(1, 3).times(1000, 1100).with("gen_ai.operation.name", "chat"));
    let chunk = [call.encode(), engine.encode(), known.encode()].concat();
    let Verdict::Replace(out) = filter.on_chunk(Chunk { tag: b"ai", bytes: &chunk }) else {
        panic!("nothing waits")
    };
    let count =
        |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).filter(|it| *it == part).count();
    assert_eq!(count(&out, b"trace_id"), 1, "the model server's goes on");
    let mut emissions = Vec::new();
    drain(&hub, Drain::Everything, clock::now(), 0, |emission, _| {
        emissions.extend_from_slice(&emission.events);
        true
    });
    assert_eq!(count(&emissions, b"trace_id"), 2);
    assert_eq!(count(&emissions, b"u-1"), 8);
    assert_eq!(count(&emissions, b"fluentbit.ai.latency.client"), 1);
    assert_eq!(count(&emissions, b"fluentbit.ai.latency.queue"), 1);
    let readings = counters.readings();
    let results: Vec<String> = readings
        .iter()
        .filter(|reading| reading.family.name == "latency_split_spans_total")
        .filter(|reading| reading.counter.value() == 1)
        .map(|reading| reading.labels.concat())
        .collect();
    assert_eq!(results, ["partial", "alone"]);
}

/// Scenario: a log with an id and an address, redaction, and a span that comes after it. Guarantees: what
/// waits was redacted, and the counters say where the log is.
#[test]
fn what_waits_for_its_span_is_redacted() {
    let given = [("correlate_by", "request"), ("redact", "email")];
    let (mut filter, hub, counters) = open_beside_an_emitter(&given);
    let value = |name: &str, label: &str| {
        let readings = counters.readings();
        let found = readings.iter().find(|reading| {
            reading.family.name == name && reading.labels.first().is_none_or(|l| l == label)
        });
        found.unwrap().counter.value()
    };
    let log = log_of("from joe@x.com request_id=req-00001");
    assert_eq!(filter.on_chunk(Chunk { tag: b"app", bytes: &log }), Verdict::Replace(Vec::new()));
    assert_eq!(value("correlation_received_logs_total", ""), 1);
    assert_eq!(value("correlation_held_logs", ""), 1);
    assert!(value("correlation_held_bytes", "") > 0);
    let span = SpanRecord::new(5, 6).times(0, 10_000).with("request_id", "req-00001").encode();
    assert_eq!(filter.on_chunk(Chunk { tag: b"ai", bytes: &span }), Verdict::Pass);
    let mut emitted = Vec::new();
    drain(&hub, Drain::Due, clock::now(), 0, |emission, _| {
        emitted.extend_from_slice(&emission.events);
        true
    });
    assert!(emitted.windows(7).any(|part| part == b"[email]"));
    assert!(!emitted.windows(9).any(|part| part == b"joe@x.com"));
    assert_eq!(value("correlation_matched_logs_total", "late"), 1);
    assert_eq!(value("correlation_held_logs", ""), 0);
    assert_eq!(filter.on_chunk(Chunk { tag: b"app", bytes: &emitted }), Verdict::Pass);
}
