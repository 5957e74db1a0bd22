//! Requests that no well-behaved sender makes, and generated ones of all kinds.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use prost::Message;

use crate::generate;

/// Generated requests of each signal.
const GENERATED: usize = 60;

/// One request: its path and its bytes.
pub type Request = (&'static str, Vec<u8>);

/// Hostile requests first, then generated ones; the same in each run.
pub fn requests() -> Vec<Request> {
    let mut requests = hostile();
    let mut runner = TestRunner::deterministic();
    for _ in 0..GENERATED {
        requests.push(("/v1/logs", make(&mut runner, &generate::logs())));
        requests.push(("/v1/traces", make(&mut runner, &generate::traces())));
        requests.push(("/v1/metrics", make(&mut runner, &generate::metrics())));
    }
    requests
}

/// A request of each signal as anyone sends it, which every output can take.
pub fn plain() -> Vec<Request> {
    let pairs = [pair(b"service.name", &field(1, b"shop"))];
    // Prometheus takes no samples that are old.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let point = [all(7, &pairs), fixed64(3, now.as_nanos() as u64), fixed64(4, 5)].concat();
    let gauge = [field(1, b"queue"), field(5, &field(1, &point))].concat();
    vec![
        ("/v1/logs", envelope(&pairs, &log(&pairs, &field(1, b"a line")))),
        ("/v1/traces", envelope(&pairs, &span(&pairs))),
        ("/v1/metrics", envelope(&pairs, &field(2, &gauge))),
    ]
}

fn make<M: Message>(runner: &mut TestRunner, strategy: &impl Strategy<Value = M>) -> Vec<u8> {
    strategy.new_tree(runner).unwrap().current().encode_to_vec()
}

/// Each hostile attribute at every place of each signal, and requests in which all is empty.
fn hostile() -> Vec<Request> {
    let pairs = pairs();
    let mut sets: Vec<Vec<Vec<u8>>> = pairs.iter().map(|pair| vec![pair.clone()]).collect();
    sets.push(pairs);
    let mut requests = Vec::new();
    for set in &sets {
        for body in [kvlist(set), value_of(&set[0])] {
            requests.push(("/v1/logs", envelope(set, &log(set, &body))));
        }
        requests.push(("/v1/traces", envelope(set, &span(set))));
        requests.push(("/v1/metrics", envelope(set, &metrics(set))));
    }
    for path in ["/v1/logs", "/v1/traces", "/v1/metrics"] {
        for depth in 0..4 {
            requests.push((path, (0..depth).fold(Vec::new(), |inner, _| field(1, &inner))));
            requests.push((path, field(1, &field(2, &field(2, &[])))));
        }
        requests.push((path, ExportLogsServiceRequest::default().encode_to_vec()));
    }
    requests
}

/// A field with a length.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    prost::encoding::encode_varint(content.len() as u64, &mut out);
    out.extend_from_slice(content);
    out
}

fn fixed64(number: u8, value: u64) -> Vec<u8> {
    [&[number << 3 | 1][..], &value.to_le_bytes()].concat()
}

fn varint(number: u8, value: u64) -> Vec<u8> {
    let mut out = vec![number << 3];
    prost::encoding::encode_varint(value, &mut out);
    out
}

fn pair(key: &[u8], value: &[u8]) -> Vec<u8> {
    [field(1, key), field(2, value)].concat()
}

/// The `AnyValue` of a pair, empty if it has none.
fn value_of(pair: &[u8]) -> Vec<u8> {
    let mut found = Vec::new();
    crate::wire::fields(pair, |number, bytes| {
        if number == 2 {
            found = bytes.to_vec();
        }
    });
    found
}

fn kvlist(pairs: &[Vec<u8>]) -> Vec<u8> {
    field(6, &pairs.iter().flat_map(|pair| field(1, pair)).collect::<Vec<_>>())
}

/// A field 100 that nobody knows: a number, and text.
const UNKNOWN: [&[u8]; 2] = [&[0xa0, 0x06, 0x01], &[0xa2, 0x06, 0x02, b'h', b'i']];

/// Attributes that are easy to stumble over, as encoded `KeyValue`s.
fn pairs() -> Vec<Vec<u8>> {
    let nested = |open: fn(&[u8]) -> Vec<u8>| (0..60).fold(field(1, b"x"), |inner, _| open(&inner));
    let mut pairs = vec![
        field(1, b"without_value"),
        Vec::new(),
        pair(b"empty", b""),
        pair(b"unknown_number", UNKNOWN[0]),
        pair(b"unknown_text", UNKNOWN[1]),
        pair(b"known_and_unknown", &[field(1, b"x"), UNKNOWN[1].to_vec()].concat()),
        [pair(b"unknown_beside", &field(1, b"x")), UNKNOWN[0].to_vec()].concat(),
        pair(b"string_index", &varint(8, 7)),
        [varint(3, 7), field(2, &field(1, b"key by index"))].concat(),
        pair(b"not_utf8", &field(1, &[0xff, 0xfe, 0x00, 0xc0])),
        pair(&[b'k', 0xff], &field(1, b"key is no text")),
        pair(b"", &field(1, b"no key")),
        pair(b"nul\0inside", &field(1, b"a\0b")),
        pair(b"%s%n{}$", &field(1, b"%s%n%d ${HOME} $TAG \x1b[2J\r\n\t\"\\")),
        pair(&[b'k'; 7_000], &field(1, &[b'v'; 20_000])),
        pair(b"bytes", &field(7, &(0..=255).collect::<Vec<u8>>())),
        pair(b"no_bytes", &field(7, b"")),
        pair(b"smallest", &varint(3, i64::MIN as u64)),
        pair(b"largest", &varint(3, i64::MAX as u64)),
        pair(b"deep_list", &nested(|inner| field(5, &field(1, inner)))),
        pair(b"deep_map", &nested(|inner| field(6, &field(1, &pair(b"k", inner))))),
        pair(b"list_of_nothing", &field(5, &[field(1, b""), field(1, UNKNOWN[0])].concat())),
        pair(b"empty_list", &field(5, b"")),
        pair(b"empty_map", &field(6, b"")),
        pair(b"list_of_all", &field(5, &[field(1, b""), field(1, &varint(2, 1))].concat())),
    ];
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MAX, f64::MIN_POSITIVE] {
        pairs.push(pair(b"number", &fixed64(4, number.to_bits())));
    }
    let twice = [field(1, b"twice"), field(1, UNKNOWN[0])];
    let inner = [field(1, &field(1, b"k")), field(1, &pair(b"k", b"")), field(1, b"")];
    pairs.push(pair(b"map_of_nothing", &field(6, &inner.concat())));
    pairs.push([twice.concat(), field(2, b""), field(2, &field(1, b"last"))].concat());
    // The names that the host's own readers look for, with what they do not expect there.
    let names = ["log", "otlp", "resource", "attributes", "schema", "trace_id", "severity_number"];
    pairs.extend(names.map(|name| field(1, name.as_bytes())));
    pairs
}

fn all(number: u8, pairs: &[Vec<u8>]) -> Vec<u8> {
    pairs.iter().flat_map(|pair| field(number, pair)).collect()
}

/// A request of one resource and one scope with these attributes, around items.
fn envelope(pairs: &[Vec<u8>], items: &[u8]) -> Vec<u8> {
    let resource = field(1, &all(1, pairs));
    let scope = field(1, &[field(1, b"scope"), all(3, pairs)].concat());
    field(1, &[resource, field(2, &[scope, items.to_vec()].concat())].concat())
}

fn log(pairs: &[Vec<u8>], body: &[u8]) -> Vec<u8> {
    let record = [fixed64(1, 1_700_000_000_000_000_001), field(5, body), all(6, pairs)].concat();
    [field(2, &record), field(2, &[field(5, body), field(9, b"short")].concat())].concat()
}

fn span(pairs: &[Vec<u8>]) -> Vec<u8> {
    let ids = [field(1, &[7; 16]), field(2, &[9; 8])].concat();
    let times = [fixed64(7, u64::MAX), fixed64(8, 1)].concat();
    let event = field(11, &[field(2, b"event"), all(3, pairs)].concat());
    let link = field(13, &[ids.clone(), all(4, pairs)].concat());
    let status = field(15, b"");
    field(2, &[ids, field(5, b"span"), times, all(9, pairs), event, link, status].concat())
}

/// A metric of each type with these attributes at its points.
fn metrics(pairs: &[Vec<u8>]) -> Vec<u8> {
    let number = fixed64(4, f64::NAN.to_bits());
    let exemplar = field(5, &[all(7, pairs), fixed64(3, f64::NAN.to_bits())].concat());
    let time = fixed64(3, 1_700_000_000_000_000_001);
    let types = [
        (5, [all(7, pairs), number.clone(), exemplar].concat()),
        (7, [all(7, pairs), time.clone()].concat()),
        (9, [all(9, pairs), time.clone(), field(6, &7_u64.to_le_bytes())].concat()),
        (10, [all(1, pairs), time.clone(), number].concat()),
        (11, [all(7, pairs), time, field(6, b"")].concat()),
    ];
    let metric = |(kind, point): (u8, Vec<u8>)| {
        let name = field(1, format!("metric_{kind}").as_bytes());
        field(2, &[name, all(12, pairs), field(kind, &field(1, &point))].concat())
    };
    types.map(metric).concat()
}
