//! The filter `ai_metrics` as the host sees it.

use serde_json::json;

use super::AiMetrics;
use crate::clock::{self, Tick};
use crate::codec::fluentbit::cmetrics_to_otlp;
use crate::codec::records::testing::{SpanRecord, chunk};
use crate::hub::{ConversationVerdict, Drain, EmissionForm, StatusSection};
use crate::model::TraceId;
use crate::plugin::{
    AppendRefused, Chunk, Environment, Filter, GivenOptions, NativeKind, NotAppended, OpenError,
    Pause, Sink, Verdict, Waker,
};
use crate::plugins::derived::emitter::Emitter;
use crate::plugins::testing::{counter, environment, pass, problems};

#[test]
fn metrics_go_through_the_hub_and_the_chunk_passes() {
    let environment = environment(true);
    let options =
        GivenOptions::of(&[("interval", "5s"), ("dimensions", "tenant"), ("cost", "off")]);
    let mut filter = AiMetrics::open(&options, environment.clone()).unwrap();
    let span = SpanRecord::new(1, 1)
        .with("gen_ai.operation.name", "chat")
        .with("gen_ai.usage.output_tokens", 5);
    let bytes = chunk(&[span, SpanRecord::new(1, 2)]);
    assert_eq!(filter.on_chunk(Chunk { tag: b"ai", bytes: &bytes }), Verdict::Pass);
    let count = |name: &str, label: &str| counter(&environment, name, label);
    assert_eq!(
        (count("measured_spans_total", ""), count("counted_tokens_total", "output")),
        (1, 5)
    );
    assert_eq!((count("series", ""), count("overflow_total", "")), (3, 0));
    let source = environment.hub.sources().pop().unwrap();
    let emissions = source.take(Drain::Everything, clock::now(), clock::unix_nanos());
    assert_eq!((emissions.len(), emissions[0].records), (1, 3));
    let cumulative = emissions[0].events.windows(10).filter(|part| part == b"cumulative");
    assert_eq!(cumulative.count(), 3, "unless delta is asked for");
    source.put_back(emissions[0].clone());
    assert_eq!(source.take(Drain::Due, clock::now(), clock::unix_nanos()), emissions);
}

/// Scenario: calls with a page in the run and without, one of them with a negative count, which a check finds.
/// Guarantees: the table of models and the finding are there with a page alone, without what the messages say.
#[test]
fn models_and_findings_are_shown_where_there_is_a_page() {
    for is_watched in [false, true] {
        let environment = environment(true);
        if is_watched {
            environment.hub.watch();
        }
        let options = GivenOptions::of(&[("find_usage", "on")]);
        let mut filter = AiMetrics::open(&options, environment.clone()).unwrap();
        let span = SpanRecord::new(1, 1)
            .with("gen_ai.operation.name", "chat")
            .with("gen_ai.request.model", "gpt-4o")
            .with("gen_ai.input.messages", "a prompt")
            .with("gen_ai.usage.input_tokens", 5)
            .with("gen_ai.usage.output_tokens", -5);
        pass(&mut filter, &chunk(&[span]));
        let (name, source) = environment.hub.status_sources().pop().unwrap();
        assert_eq!(name, "test.0");
        let rows = source.rows(clock::now(), clock::unix_nanos());
        let of = |section| {
            let rows = rows.iter().filter(move |(of, _)| *of == section);
            rows.map(|(_, row)| row).collect::<Vec<_>>()
        };
        let (models, findings) = (of(StatusSection::Models), of(StatusSection::Findings));
        assert_eq!((models.len(), findings.len()), if is_watched { (1, 1) } else { (0, 0) });
        if is_watched {
            assert_eq!(
                (&models[0]["model"], &models[0]["requests"]),
                (&"gpt-4o".into(), &1.into())
            );
            assert_eq!(findings[0]["type"], "usage");
            assert!(findings[0]["says"].as_str().unwrap().len() > 10, "{findings:?}");
        }
        assert!(!format!("{rows:?}").contains("a prompt"));
        drop(filter);
        environment.hub.close();
        assert!(source.rows(clock::now(), clock::unix_nanos()).is_empty());
    }
}

/// Scenario: an agent that calls the same tool again and again, with a page in the run. Guarantees: the source of the status
/// has the metrics that were emitted, and a verdict with its evidence and without arguments; a filter that does not watch agents
/// has none.
#[test]
fn a_page_has_metrics_and_verdicts() {
    for mode in ["off", "warn", "on"] {
        let environment = environment(true);
        environment.hub.watch();
        let options = GivenOptions::of(&[("find_runaway", mode), ("interval", "1s")]);
        let mut filter = AiMetrics::open(&options, environment.clone()).unwrap();
        let tool = |span: u64| {
            SpanRecord::new(1, span)
                .times(1000, 2000)
                .with("gen_ai.operation.name", "execute_tool")
                .with("gen_ai.tool.name", "search")
                .with("gen_ai.conversation.id", "c-1")
                .with("gen_ai.tool.call.arguments", "a prompt")
        };
        pass(&mut filter, &chunk(&[tool(1)]));
        let (_, source) = environment.hub.status_sources().pop().unwrap();
        if mode == "off" {
            assert_eq!(source.verdict("c-1"), None);
        } else {
            assert_eq!(source.verdict("c-2"), Some(ConversationVerdict::Unknown));
            assert_eq!(source.verdict("c-1").unwrap().name().0, "ok");
            pass(&mut filter, &chunk(&(2..8).map(tool).collect::<Vec<_>>()));
            let Some(ConversationVerdict::Runaway(evidence)) = source.verdict("c-1") else {
                panic!("{mode}")
            };
            let found = json!({ "type": "repeated_tool_call", "since": 2.0, "calls": 6 });
            assert_eq!(
                evidence,
                json!({
                    "since": 2.0, "findings": [found], "tool_calls": 7, "tokens_per_minute": 0,
                    "last_seen": 2.0,
                })
            );
        }
        assert!(source.metrics().unwrap().events.is_empty());
        let emitter = environment.hub.sources().remove(0);
        let emissions = emitter.take(Drain::Everything, clock::now(), clock::unix_nanos());
        // That of what was found goes with them.
        let all: Vec<u8> = emissions.into_iter().flat_map(|it| it.events).collect();
        assert!(source.metrics().unwrap().events[..] == all, "{mode}");
    }
}

/// What the host is given: contexts of metrics, unless it refuses, how often, and how often it was flushed.
#[derive(Default)]
struct Contexts(Vec<u8>, Option<NotAppended>, usize, usize);

impl Sink for Contexts {
    fn append(&mut self, _: &[u8], _: usize, _: &[u8]) -> Result<(), AppendRefused> {
        Err(AppendRefused)
    }

    fn append_native(
        &mut self,
        tag: &[u8],
        kind: NativeKind,
        contexts: &[u8],
    ) -> Result<(), NotAppended> {
        assert_eq!((tag, kind), (&b"ai"[..], NativeKind::Metrics));
        match self.1 {
            Some(problem) => Err(problem),
            None => {
                self.0.extend_from_slice(contexts);
                self.2 += 1;
                Ok(())
            }
        }
    }

    fn flush_now(&mut self) {
        self.3 += 1;
    }
}

#[test]
fn metrics_are_emitted_in_the_host_s_own_form() {
    let environment = environment(true);
    let options = GivenOptions::of(&[("interval", "5s"), ("emit_as", "native"), ("cost", "off")]);
    let mut filter = AiMetrics::open(&options, environment.clone()).unwrap();
    let span = SpanRecord::new(1, 1)
        .with("gen_ai.operation.name", "chat")
        .with("gen_ai.usage.output_tokens", 5);
    let bytes = chunk(&[span]);
    let mut emitter = Emitter::new(&environment, Waker::new(|| {}));
    let mut sink = Contexts(Vec::new(), Some(NotAppended::Refused), 0, 0);
    assert_eq!(filter.on_chunk(Chunk { tag: b"ai", bytes: &bytes }), Verdict::Pass);
    // What the host refuses is offered again, whole.
    emitter.pause(Pause::Shutdown, &mut sink);
    assert_eq!(counter(&environment, "emit_refused_records_total", ""), 3);
    sink.1 = None;
    emitter.tick(&mut sink, usize::MAX);
    assert_eq!(counter(&environment, "emitted_records_total", ""), 3);
    let read = cmetrics_to_otlp(&sink.0);
    assert_eq!((read.items, read.skipped), (3, 0));
    let text = String::from_utf8_lossy(&read.request).into_owned();
    for name in ["client.operation.duration", "client.token.usage", "client.operation.count"] {
        assert!(text.contains(name), "{name}");
    }
    // What it will never take is lost, and counted.
    assert_eq!(filter.on_chunk(Chunk { tag: b"ai", bytes: &bytes }), Verdict::Pass);
    sink.1 = Some(NotAppended::Processors("it failed"));
    emitter.tick(&mut sink, usize::MAX);
    sink.1 = None;
    emitter.tick(&mut sink, usize::MAX);
    let count = |name: &str| counter(&environment, name, "");
    // The tokens of the call are counted already, and said again.
    assert_eq!((count("emit_lost_records_total"), count("emitted_records_total")), (3, 3));
}

/// Guarantees: metrics for Prometheus leave as one context under one tag, however many resources they are of,
/// each in a chunk of its own; and what Prometheus does not take is refused at the start.
#[test]
fn metrics_are_emitted_for_prometheus() {
    let environment = environment(true);
    let options = GivenOptions::of(&[("emit_as", "prometheus"), ("tag", "ai")]);
    let mut filter = AiMetrics::open(&options, environment.clone()).unwrap();
    let spans = ["a", "b"].map(|service| {
        SpanRecord::new(1, 1).service(service).with("gen_ai.operation.name", "chat")
    });
    let bytes = chunk(&spans);
    let mut emitter = Emitter::new(&environment, Waker::new(|| {}));
    let mut sink = Contexts::default();
    assert_eq!(filter.on_chunk(Chunk { tag: b"spans", bytes: &bytes }), Verdict::Pass);
    emitter.pause(Pause::Shutdown, &mut sink);
    assert_eq!((sink.2, sink.3), (1, 2), "one chunk, flushed after it and at the end");
    let text = String::from_utf8_lossy(&cmetrics_to_otlp(&sink.0).request).into_owned();
    for name in ["gen_ai_client_operation_duration_seconds", "gen_ai_client_operation_count_total"]
    {
        assert_eq!(text.matches(name).count(), 1, "{name}");
    }
    let open = |given| match AiMetrics::open(&GivenOptions::of(given), environment.clone()) {
        Err(OpenError(problems)) => problems.join("; "),
        Ok(_) => panic!("taken: {given:?}"),
    };
    let wrong =
        open(&[("emit_as", "prometheus"), ("temporality", "delta"), ("histogram", "exponential")]);
    for words in ["it needs 'tag'", "no delta temporality", "explicit buckets"] {
        assert!(wrong.contains(words), "{wrong}");
    }
}

#[test]
fn the_host_s_own_form_needs_a_host_that_takes_it() {
    let old = Environment { host_release: "4.2.8".to_owned(), ..environment(true) };
    let none = Environment { native_chunks: false, ..environment(true) };
    let native = GivenOptions::of(&[("emit_as", "native"), ("histogram", "exponential")]);
    assert!(AiMetrics::open(&native, environment(true)).is_ok());
    let Err(OpenError(problems)) = AiMetrics::open(&native, old) else { panic!("taken") };
    assert!(problems[0].contains("need Fluent Bit 5.0 or later"), "{problems:?}");
    let Err(OpenError(problems)) = AiMetrics::open(&native, none) else { panic!("taken") };
    assert!(problems[0].contains("flb_input_chunk_append_raw"), "{problems:?}");
}

#[test]
fn wrong_configurations_are_reported_all_at_once() {
    let metrics = problems::<AiMetrics>(
        &[
            ("interval", "0"),
            ("temporality", "both"),
            ("histogram", "round"),
            ("emit_as", "openmetrics"),
            ("max_series", "1"),
            ("dimensions", "gen_ai.response.id"),
        ],
        false,
    );
    assert_eq!(metrics.len(), 7, "{metrics:?}");
}

#[test]
fn a_file_gives_the_options_of_metrics() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let text = "interval: 5s\ndimensions: [team, tier]\ntemporality: delta\nmax_series: 1000\n";
    std::fs::write(path, text).unwrap();
    let environment = environment(true);
    let mut filter =
        AiMetrics::open(&GivenOptions::of(&[("config_file", path)]), environment.clone()).unwrap();
    pass(
        &mut filter,
        &chunk(&[SpanRecord::new(1, 1).with("team", "blue").with("gen_ai.operation.name", "chat")]),
    );
    let source = environment.hub.sources().pop().unwrap();
    let emissions = source.take(Drain::Everything, clock::now(), clock::unix_nanos());
    let holds = |text: &[u8]| emissions[0].events.windows(text.len()).any(|part| part == text);
    assert!(holds(b"delta") && holds(b"team") && holds(b"blue"));
    std::fs::write(path, "interval: 0\ntemporalty: delta\n").unwrap();
    let wrong = problems::<AiMetrics>(&[("config_file", path)], true);
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].contains("temporalty: this key is not known; allowed keys: interval"));
    assert!(wrong[1].starts_with(&format!("config_file '{path}': option 'interval': '0'")));
}

#[test]
fn own_prices_are_read_and_their_mistakes_stop_the_start() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let write = |price: &str| {
        std::fs::write(path, format!("provider,model,input,output\n*,ours,{price},0\n")).unwrap();
    };
    write("2000");
    let environment = environment(true);
    let options = GivenOptions::of(&[("prices_file", path)]);
    let mut filter = AiMetrics::open(&options, environment.clone()).unwrap();
    let span = |trace: u64| {
        SpanRecord::new(trace, 1)
            .with("gen_ai.operation.name", "chat")
            .with("gen_ai.request.model", "ours")
            .with("gen_ai.usage.input_tokens", 5)
    };
    let count = |name: &str, label: &str| counter(&environment, name, label);
    pass(&mut filter, &chunk(&[span(1)]));
    assert_eq!(count("priced_calls_total", "computed"), 1);
    assert_eq!(count("cost_microdollars_total", "computed"), 10_000);
    let source = environment.hub.sources().pop().unwrap();
    let mut take_later = |price: &str, seconds: u64| {
        write(price);
        let later = Tick(clock::now().0 + seconds * 1_000_000_000);
        drop(source.take(Drain::Due, later, clock::unix_nanos()));
        pass(&mut filter, &chunk(&[span(seconds)]));
        [count("prices_file_errors_total", ""), count("cost_microdollars_total", "computed")]
    };
    assert_eq!(take_later("dear", 10), [1, 20_000]);
    assert_eq!(take_later("4000", 20), [1, 40_000]);
    let texts: Vec<String> = environment.log.take().into_iter().map(|line| line.text).collect();
    let [wrong, changed] = &texts[..] else { panic!("{texts:?}") };
    assert!(wrong.contains("line 2: input 'dear' is not allowed"), "{wrong}");
    assert!(changed.contains("has changed"), "{changed}");
    write("dear");
    let wrong = problems::<AiMetrics>(&[("prices_file", path)], true);
    assert!(wrong.len() == 1 && wrong[0].contains("line 2: input 'dear'"), "{wrong:?}");
    let wrong = problems::<AiMetrics>(&[("prices_file", path), ("cost", "off")], true);
    assert!(wrong.len() == 1 && wrong[0].contains("with 'cost: list'"), "{wrong:?}");
}

/// Guarantees: what is found is counted, told as log events whatever form metrics have, and hinted to samplers; a check that
/// warns says it in the log; and what is not asked for costs no second source.
#[test]
fn findings_are_events_lines_and_hints() {
    let span = SpanRecord::new(9, 1)
        .with("gen_ai.operation.name", "chat")
        .with("gen_ai.request.model", "gpt-4o")
        .with("gen_ai.response.model", "gpt-4o-mini")
        .with("gen_ai.usage.output_tokens", -5);
    let bytes = chunk(&[span]);
    let mut trace = [0; 16];
    trace[..8].copy_from_slice(&0x0af7_6519_16cd_43dd_u64.to_be_bytes());
    trace[15] = 9;
    let trace = TraceId(trace);

    let given = [("emit_as", "native"), ("find_served_model", "on"), ("find_usage", "warn")];
    let on = environment(true);
    let mut filter = AiMetrics::open(&GivenOptions::of(&given), on.clone()).unwrap();
    pass(&mut filter, &bytes);
    let count = |label| counter(&on, "findings_total", label);
    assert_eq!(["served_model", "usage", "changes"].map(count), [1, 1, 0]);
    let [metrics, events] = &on.hub.sources()[..] else { panic!("two sources") };
    let taken = events.take(Drain::Due, clock::now(), clock::unix_nanos());
    assert_eq!((taken.len(), taken[0].records, &taken[0].tag[..]), (1, 1, &b"ai"[..]));
    assert_eq!(events.form(), EmissionForm::Records);
    events.put_back(taken[0].clone());
    assert_eq!(events.take(Drain::Due, clock::now(), clock::unix_nanos()), taken);
    let metrics = metrics.take(Drain::Everything, clock::now(), clock::unix_nanos());
    let holds = |text: &[u8]| {
        metrics.iter().any(|one| one.events.windows(text.len()).any(|part| part == text))
    };
    assert!(holds(b"fluentbit.ai.findings") && holds(b"served_model") && holds(b"negative"));
    let lines: Vec<String> = on.log.take().into_iter().map(|line| line.text).collect();
    assert!(lines.len() == 1 && lines[0].contains("token counts are negative"), "{lines:?}");
    assert!(on.hub.trace_hints().contains(&trace));

    let off = environment(true);
    let mut filter = AiMetrics::open(&GivenOptions::of(&[]), off.clone()).unwrap();
    pass(&mut filter, &bytes);
    assert_eq!(off.hub.sources().len(), 1);
    assert!(!off.hub.trace_hints().contains(&trace));
    let wrong = [
        ("find_changes", "yes"),
        ("find_prompts", "maybe"),
        ("finding_prompts", "1"),
        ("finding_keys", "1"),
    ];
    let wrong = problems::<AiMetrics>(&wrong, true);
    assert!(wrong.len() == 4 && wrong[0].contains("off, warn, on"), "{wrong:?}");
}

/// Guarantees: pairs of models are two different names each, and with none there is nothing to compare.
#[test]
fn pairs_are_two_models_each() {
    let of = |given: &[(&str, &str)]| problems::<AiMetrics>(given, true);
    assert_eq!(of(&[("find_pairs", "on"), ("compare", "gpt-4o  gpt-4.1, a b")]), [""; 0]);
    assert_eq!(of(&[("find_drift", "warn")]), [""; 0]);
    for wrong in ["gpt-4o", "a a", "a b c", "a b, c"] {
        let problems = of(&[("find_pairs", "on"), ("compare", wrong)]);
        let last = wrong.rsplit(", ").next().unwrap();
        assert!(problems[0].contains(&format!("option 'compare': '{last}'")), "{problems:?}");
        assert_eq!(problems.len(), 1, "{problems:?}");
    }
    let problems = of(&[("compare", "a"), ("server_logs", "x"), ("interval", "x")]);
    assert_eq!(problems.len(), 3, "{problems:?}");
    let problems = of(&[("find_pairs", "on")]);
    assert!(problems.len() == 1 && problems[0].contains("'compare'"), "{problems:?}");
}

/// Scenario: budgets in a file, as a list, of which one user has less than the others, in a run with a page. Guarantees: what
/// that user spends is one finding, on the page and in the counters, and a call without a user is in a counter of its own; a wrong
/// budget is told of once, with its place.
#[test]
fn budgets_of_a_file_are_watched() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let budgets = "  - users user.id=ann 1 calls per day\n  - users user.id=* 9 calls per day\n";
    std::fs::write(path, format!("find_budgets: on\nbudgets:\n{budgets}")).unwrap();
    let environment = environment(true);
    environment.hub.watch();
    let options = GivenOptions::of(&[("config_file", path)]);
    let mut filter = AiMetrics::open(&options, environment.clone()).unwrap();
    let call = |trace| SpanRecord::new(trace, 1).with("gen_ai.operation.name", "chat");
    let of = |trace, user: &str| call(trace).with("user.id", user);
    pass(&mut filter, &chunk(&[of(1, "ann"), of(2, "bob"), of(3, "bob"), call(4)]));
    let count = |name: &str, label: &str| counter(&environment, name, label);
    assert_eq!((count("findings_total", "budgets"), count("finding_keys", "")), (1, 2));
    assert_eq!(count("unbudgeted_calls_total", "no_key"), 1);
    let (_, source) = environment.hub.status_sources().pop().unwrap();
    let rows = source.rows(clock::now(), clock::unix_nanos());
    let (_, found) = rows.iter().find(|(of, _)| *of == StatusSection::Findings).unwrap();
    assert_eq!(found["type"], "budget");
    assert_eq!(found["subject"], json!(["fluentbit.ai.budget.name users", "user.id ann"]));
    std::fs::write(path, format!("find_budgets: on\nbudgets:\n{budgets}  - all 9 USD\n")).unwrap();
    let wrong = problems::<AiMetrics>(&[("config_file", path)], true);
    let start =
        format!("config_file '{path}': option 'budgets': 'all 9 USD' is not allowed; the period");
    assert!(wrong.len() == 1 && wrong[0].starts_with(&start), "{wrong:?}");
}
