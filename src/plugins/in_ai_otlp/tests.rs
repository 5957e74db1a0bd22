//! The two inputs as the host sees them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use super::AiOtlp;
use crate::clock::Tick;
use crate::hub::{Drain, Hub, TelemetrySource};
use crate::model::Emission;
use crate::plugin::{
    AppendRefused, Chunks, Environment, Input, OpenError, Options, Pause, Sink, Waker,
};
use crate::plugins::in_ai_emitter::AiEmitter;
use crate::stats::{Counters, Log};

pub(super) struct Given {
    pub(super) options: Vec<(String, String)>,
    pub(super) listen: Option<String>,
    /// What else the host keeps.
    pub(super) host: Vec<(&'static str, &'static str)>,
}

impl Options for Given {
    fn given(&self) -> &[(String, String)] {
        &self.options
    }

    fn host_value(&self, name: &str) -> Option<String> {
        let kept = self.host.iter().find(|(key, _)| *key == name);
        kept.map(|(_, value)| (*value).to_owned())
            .or_else(|| self.listen.clone().filter(|_| name == "listen"))
    }
}

fn given(options: &[(&str, &str)]) -> Given {
    let text = |text: &&str| (*text).to_owned();
    let options = options.iter().map(|(key, value)| (text(key), text(value))).collect();
    Given { options, listen: None, host: Vec::new() }
}

pub(super) fn environment() -> Environment {
    Environment {
        instance: "ai.0".to_owned(),
        hub: Arc::new(Hub::new(1)),
        position: 1,
        host_release: "4.2.8".to_owned(),
        log_groups: true,
        native_chunks: true,
        counters: Arc::new(Counters::default()),
        log: Arc::new(Log::default()),
    }
}

fn open(options: &Given, environment: &Environment) -> Result<AiOtlp, OpenError> {
    AiOtlp::open(options, environment.clone(), Waker::new(|| ()))
}

/// What was appended: tag and number of records; how often the host was asked to flush.
#[derive(Default)]
struct Pipe {
    refuse: bool,
    appended: Vec<(Vec<u8>, usize)>,
    flushed: usize,
}

impl Sink for Pipe {
    fn append(&mut self, tag: &[u8], records: usize, _: &[u8]) -> Result<(), AppendRefused> {
        if self.refuse {
            return Err(AppendRefused);
        }
        self.appended.push((tag.to_vec(), records));
        Ok(())
    }

    fn flush_now(&mut self) {
        self.flushed += 1;
    }
}

/// A source that notes why it was drained.
#[derive(Default)]
struct Shelf(Mutex<(Vec<Emission>, Vec<Drain>)>);

impl Shelf {
    fn put(&self, tag: &str) {
        let emission = Emission { tag: tag.into(), records: 1, events: vec![0x90] };
        self.0.lock().unwrap().0.push(emission);
    }
}

impl TelemetrySource for Shelf {
    fn take(&self, drain: Drain, _: Tick, _: u64) -> Vec<Emission> {
        let mut shelf = self.0.lock().unwrap();
        shelf.1.push(drain);
        std::mem::take(&mut shelf.0)
    }

    fn put_back(&self, emission: Emission) {
        self.0.lock().unwrap().0.push(emission);
    }
}

fn shelf(environment: &Environment) -> Arc<Shelf> {
    let shelf = Arc::new(Shelf::default());
    environment.hub.add_source(Arc::<Shelf>::clone(&shelf));
    shelf
}

#[test]
fn every_wrong_option_is_named_at_once() {
    let options = given(&[
        ("grpc_port", "99999"),
        ("http_port", "none"),
        ("format", "nativ"),
        ("max_request_size", "12"),
        ("max_queue_size", "huge"),
    ]);
    let error = open(&options, &environment()).unwrap_err();
    assert_eq!(error.0.len(), 5, "{error}");
    assert!(error.to_string().contains("'nativ' is not allowed; allowed: records, native"));
    let error = open(&given(&[("format", "xml")]), &environment()).unwrap_err();
    assert!(error.to_string().contains("allowed: records"), "{error}");
}

#[test]
fn options_of_tags_and_tenants_are_checked() {
    let ports = [("grpc_port", "0"), ("http_port", "0")];
    let wrong = [
        ("tag_traces", "a b", "up to 128 letters"),
        ("tag_from", "header:", "resource.ATTRIBUTE, header:NAME, tenant"),
        ("tag_from", "tenant", "'tenants_file', 'jwt_tenant_claim' or 'tenant_header'"),
        ("tag_prefix", "x.", "needs the option 'tag_from'"),
        ("max_tags", "0", "from 1 to 100000"),
        ("tenant_header", "a b", "a header's name"),
        ("tenant_attribute", "tenant.id", "'tenants_file', 'jwt_tenant_claim' or 'tenant_header'"),
        ("tenant_rate", "0", "a size such as"),
        ("tenant_burst", "1M", "needs 'tenant_rate' or 'tenant_rates'"),
        ("tenant_rates", "a=1k,a=2k", "each once"),
        ("tenant_rates", "a", "acme=10M"),
        ("max_tenants", "many", "from 1 to 1000000"),
        ("profiles", "yes", "refuse, accept"),
    ];
    for (option, value, message) in wrong {
        let options = given(&[ports[0], ports[1], (option, value)]);
        let error = open(&options, &environment()).unwrap_err();
        assert_eq!(error.0.len(), 1, "{error}");
        assert!(error.0[0].contains(option) && error.0[0].contains(message), "{error}");
    }
    let right = [
        ports[0],
        ports[1],
        ("tag_traces", "ai.traces"),
        ("tag_profiles", "ai.profiles"),
        ("profiles", "accept"),
        ("tag_from", "tenant"),
        ("tag_prefix", "t."),
        ("tag_fallback", "none"),
        ("tag_overflow", "many"),
        ("max_tags", "7"),
        ("tenant_header", "X-Scope-OrgID"),
        ("tenant_attribute", "tenant.id"),
        ("tenant_rate", "1M"),
        ("tenant_burst", "2M"),
        ("tenant_rates", "a=1k, b=2M"),
        ("max_tenants", "5"),
    ];
    open(&given(&right), &environment()).unwrap();
}

#[test]
fn it_listens_where_it_is_configured_to() {
    let mut options = given(&[("grpc_port", "0"), ("http_port", "0"), ("format", "Records")]);
    let environment = environment();
    let plugin = open(&options, &environment).unwrap();
    let [(_, grpc), (_, http)] = plugin.receiver.addresses() else { panic!("two listeners") };
    assert!(grpc.ip().is_loopback() && http.ip().is_loopback() && grpc.port() != http.port());
    let lines: Vec<String> = environment.log.take().into_iter().map(|line| line.text).collect();
    assert!(lines[0].contains(&format!("OTLP/gRPC on {grpc}")), "{lines:?}");
    assert!(environment.hub.has_emitter());
    // One port for both protocols is fine, and so are names and IPv6 addresses in brackets.
    let port = http.port().to_string();
    drop(plugin);
    options = given(&[("grpc_port", port.as_str()), ("http_port", port.as_str())]);
    options.listen = Some("localhost".to_owned());
    let plugin = open(&options, &environment).unwrap();
    assert_eq!(plugin.receiver.addresses().len(), 1);
    options.listen = Some("no such name".to_owned());
    let error = open(&options, &environment).unwrap_err();
    assert!(error.to_string().contains("no such name"), "{error}");
}

#[test]
fn derived_telemetry_enters_at_ticks() {
    let environment = environment();
    let shelf = shelf(&environment);
    let mut plugin = AiEmitter::open(&given(&[]), environment.clone(), Waker::new(|| ())).unwrap();
    let mut pipe = Pipe::default();
    shelf.put("a");
    plugin.on_tick(&mut pipe);
    assert_eq!(pipe.appended, [(b"a".to_vec(), 1)]);
    pipe.refuse = true;
    shelf.put("b");
    plugin.on_tick(&mut pipe);
    plugin.on_pause(Pause::Pressure, &mut pipe);
    pipe.refuse = false;
    plugin.on_tick(&mut pipe);
    assert_eq!(pipe.appended.len(), 1);
    plugin.on_resume();
    plugin.on_tick(&mut pipe);
    assert_eq!(pipe.appended.last().unwrap().0, b"b");
    assert_eq!(pipe.flushed, 0);
    let counters = environment.counters.readings();
    let counters = counters.iter().filter(|reading| reading.family.name.starts_with("emit"));
    let values: Vec<u64> = counters.map(|reading| reading.counter.value()).collect();
    assert_eq!(values, [2, 1, 0, 0]);
}

#[test]
fn everything_leaves_at_a_shutdown_and_after() {
    let environment = environment();
    let shelf = shelf(&environment);
    let mut plugin = open(&given(&[("grpc_port", "0"), ("http_port", "0")]), &environment).unwrap();
    let mut pipe = Pipe::default();
    shelf.put("held");
    plugin.on_pause(Pause::Pressure, &mut pipe);
    plugin.on_pause(Pause::Shutdown, &mut pipe);
    assert_eq!(pipe.appended, [(b"held".to_vec(), 1)]);
    assert_eq!(pipe.flushed, 2);
    plugin.on_resume();
    shelf.put("late");
    plugin.on_tick(&mut pipe);
    assert_eq!(pipe.appended.len(), 2);
    assert_eq!(pipe.flushed, 3);
    assert!(shelf.0.lock().unwrap().1.iter().all(|drain| *drain == Drain::Everything));
    plugin.on_pause(Pause::Shutdown, &mut pipe);
}

#[test]
fn each_signal_can_have_a_format_of_its_own() {
    let of = |options: &[(&str, &str)]| {
        let native = super::settings(&given(options), &environment()).unwrap().0.native;
        native.map(|native| (native.traces, native.metrics, native.logs))
    };
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[("format", "native")]), Some((true, true, true)));
    assert_eq!(of(&[("format_metrics", "native")]), Some((false, true, false)));
    assert_eq!(of(&[("format_traces", "Native")]), Some((true, false, false)));
    let but_logs = [("format", "native"), ("format_logs", "records")];
    assert_eq!(of(&but_logs), Some((true, true, false)));
    let none = [
        ("format", "native"),
        ("format_traces", "records"),
        ("format_metrics", "records"),
        ("format_logs", "records"),
    ];
    assert_eq!(of(&none), None);
    for option in ["format_traces", "format_metrics", "format_logs"] {
        let error = open(&given(&[(option, "xml")]), &environment()).unwrap_err();
        let expected = format!("option '{option}': 'xml' is not allowed; allowed: records, native");
        assert!(error.to_string().contains(&expected), "{error}");
    }
    let options = given(&[("format_metrics", "native")]);
    let error = open(&options, &Environment { native_chunks: false, ..environment() }).unwrap_err();
    assert!(error.0[0].contains("'format_...'"), "{error}");
}

#[test]
fn native_needs_a_host_that_takes_it() {
    let options = given(&[("grpc_port", "0"), ("http_port", "0"), ("format", "Native")]);
    drop(open(&options, &environment()).unwrap());
    let error = open(&options, &Environment { native_chunks: false, ..environment() }).unwrap_err();
    assert_eq!(error.0.len(), 1);
    assert!(error.0[0].contains("flb_input_chunk_append_raw"), "{error}");
    assert!(error.0[0].contains("allowed: records"), "{error}");
}

#[test]
fn wrong_options_of_security_are_named_without_secrets() {
    let mut options = given(&[
        ("grpc_port", "0"),
        ("http_port", "0"),
        ("bearer_token", "hun ter2"),
        ("http_passwd", "hunter3"),
        ("tenants_file", ""),
    ]);
    let error = open(&options, &environment()).unwrap_err();
    assert_eq!(error.0.len(), 3, "{error}");
    assert!(!error.to_string().contains("hun"), "{error}");
    options = given(&[("cors_allowed_origins", "nowhere"), ("bearer_token_file", "/nowhere")]);
    let error = open(&options, &environment()).unwrap_err();
    assert_eq!(error.0.len(), 2, "{error}");
    let jwt = [
        ("jwt_jwks_url", "ftp://me:hunter4@x"),
        ("jwt_jwks_refresh", "1"),
        ("jwt_leeway", "2h"),
        ("jwt_algorithms", "HS256"),
    ];
    options = given(&jwt);
    let error = open(&options, &environment()).unwrap_err();
    // The algorithms are looked at when everything else is right.
    assert_eq!(error.0.len(), 4, "{error}");
    assert!(!error.to_string().contains("hunter"), "{error}");
    options = given(&[("jwt_audience", "a"), ("jwt_jwks_ca_file", "b")]);
    assert_eq!(open(&options, &environment()).unwrap_err().0.len(), 2);
    options = given(&[("jwt_jwks_file", "/nowhere"), ("jwt_issuer", "i"), jwt[3]]);
    let error = open(&options, &environment()).unwrap_err();
    assert_eq!(error.0.len(), 2, "{error}");
    assert!(error.to_string().contains("'HS256' is not allowed"), "{error}");
    options = given(&[("tls.verify_client_cert", "on")]);
    let error = open(&options, &environment()).unwrap_err();
    assert!(error.to_string().contains("only with 'tls: on'"), "{error}");
}

#[test]
fn keys_of_tls_come_from_the_host_or_the_options() {
    let mut options = given(&[("tls.min_version", "TLSv1.1"), ("tls.max_version", "1.3")]);
    options.host = vec![("tls", "on"), ("tls.verify_client_cert", "on")];
    let error = open(&options, &environment()).unwrap_err().to_string();
    for message in [
        "'tls.min_version': 'TLSv1.1' is not allowed",
        "'tls.crt_file' is needed",
        "'tls.key_file' is needed",
        "'tls.ca_file' is needed",
    ] {
        assert!(error.contains(message), "{error}");
    }
    options.host = vec![("tls", "on"), ("tls.crt_file", "/no"), ("tls.key_file", "/none")];
    options.options.clear();
    let error = open(&options, &environment()).unwrap_err();
    assert!(error.0.iter().all(|problem| problem.contains("cannot be read")), "{error}");
}

struct Bounded;

impl Sink for Bounded {
    fn append(&mut self, _: &[u8], _: usize, _: &[u8]) -> Result<(), AppendRefused> {
        Ok(())
    }

    fn chunks(&self) -> Chunks {
        Chunks { bytes: 0, bounded: true }
    }

    fn flush_now(&mut self) {}
}

/// Guarantees: of `ai_emitter`, sizes from 8 MB and 0 are taken, others stop the start; a limit that
/// was given is warned of, once, where the host bounds its chunks, and the default is not.
#[test]
fn the_emitters_limit_is_checked_and_warned_of_where_it_does_not_hold() {
    let open = |value: Option<&str>| {
        let options: Vec<_> = value.into_iter().map(|value| ("max_memory", value)).collect();
        let environment = environment();
        let opened = AiEmitter::open(&given(&options), environment.clone(), Waker::new(|| ()));
        opened.map(|emitter| (emitter, environment.log))
    };
    for good in ["0", "8m", "1g"] {
        assert!(open(Some(good)).is_ok(), "{good}");
    }
    for bad in ["1", "7m", "much"] {
        let message = open(Some(bad)).err().unwrap().to_string();
        assert!(message.contains("max_memory"), "{bad}: {message}");
    }
    for (value, lines) in [(Some("8m"), 1), (None, 0)] {
        let (mut emitter, log) = open(value).unwrap();
        emitter.on_tick(&mut Bounded);
        emitter.on_tick(&mut Bounded);
        let said = log.take();
        let warned = said.iter().filter(|line| line.text.contains("no effect")).count();
        assert_eq!(warned, lines, "{value:?}: {said:?}");
    }
}

/// Scenario: both inputs with a page, with wrong options, and with a port that is taken. Guarantees: the page is
/// there while the input is, its probe follows what the host does, and mistakes stop the start in words that name the
/// option.
#[test]
fn inputs_have_a_page_where_it_is_asked_for() {
    let ports = [("grpc_port", "off"), ("http_port", "0"), ("status_port", "0")];
    let environment = environment();
    let mut plugin = open(&given(&ports), &environment).unwrap();
    let lines = environment.log.take();
    let page = lines.iter().find_map(|line| line.text.strip_prefix("status page on http://"));
    let address = page.unwrap().strip_suffix('/').unwrap().to_owned();
    assert!(address.starts_with("127.0.0.1:") && environment.hub.is_watched(), "{address}");
    let ready = || {
        let mut stream = TcpStream::connect(&address).unwrap();
        let request = "GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.rsplit('\n').next().unwrap().to_owned()
    };
    let mut pipe = Pipe::default();
    assert_eq!(ready(), "starting");
    plugin.on_tick(&mut pipe);
    assert_eq!(ready(), "running");
    plugin.on_pause(Pause::Pressure, &mut pipe);
    assert_eq!(ready(), "paused");
    plugin.on_resume();
    assert_eq!(ready(), "running");
    let port = address.rsplit(':').next().unwrap();
    let taken = |options: &[(&str, &str)]| {
        let emitter = AiEmitter::open(&given(options), environment.clone(), Waker::new(|| ()));
        emitter.map(drop).map_err(|error| error.to_string())
    };
    let problem = taken(&[("status_port", port)]).unwrap_err();
    assert!(problem.starts_with("cannot listen for the status page on 127.0.0.1:"), "{problem}");
    plugin.on_pause(Pause::Shutdown, &mut pipe);
    assert_eq!(ready(), "stopping");
    drop(plugin);
    assert_eq!(taken(&[("status_port", port)]), Ok(()));
    for (options, says) in [
        (&[("status_port", "many")][..], "option 'status_port': 'many' is not allowed; allowed: "),
        (
            &[("status_listen", "0.0.0.0")],
            "option 'status_listen': '0.0.0.0' is not allowed; it needs",
        ),
        (&[("status_port", "0"), ("status_listen", " ")], "option 'status_listen': "),
        (
            &[("status_port", "0"), ("status_listen", "no.such.host.invalid")],
            "cannot listen for the status",
        ),
    ] {
        let problem = taken(options).unwrap_err();
        assert!(problem.starts_with(says), "{problem}");
    }
    assert_eq!(taken(&[]), Ok(()));
}
