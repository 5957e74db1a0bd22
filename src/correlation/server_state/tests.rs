//! The state of servers: whose state a metric tells, and which span gets it.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::codec::records::Events;
use crate::codec::records::testing::log_event;

const SECOND: u64 = 1_000_000_000;
const MIB: u64 = 1 << 20;

fn state(max_bytes: usize) -> ServerState {
    let position = Position { run: 7, after: 2 };
    ServerState::new(ServerStateConfig { max_age: Duration::from_secs(60), max_bytes, position })
}

fn metadata(signal: &str, resource: &Value) -> Value {
    json!({ "otlp": { "v": 1, "signal": signal, "resource": { "attributes": resource } } })
}

/// A gauge with points of these attributes and values.
fn gauge(resource: &Value, name: &str, second: u64, points: &[(Value, f64)]) -> Vec<u8> {
    let point = |(attributes, value): &(Value, f64)| json!({ "attributes": attributes, "time_unix_nano": second * SECOND, "as_double": value });
    let points: Vec<Value> = points.iter().map(point).collect();
    let body = json!({ "name": name, "gauge": { "data_points": points } });
    log_event(5, &metadata("metric", resource), &body)
}

/// A span of a model server that ends at this second.
fn span(resource: &Value, second: u64) -> Vec<u8> {
    let body = json!({
        "trace_id": "0af7651916cd43dd0000000000000001",
        "span_id": "0000000000000001",
        "start_time_unix_nano": (second - 1) * SECOND,
        "end_time_unix_nano": second * SECOND,
        "attributes": { "gen_ai.latency.e2e": 1.0 },
    });
    log_event(5, &metadata("span", resource), &body)
}

/// The state on the one span of a chunk.
fn told(state: &mut ServerState, chunk: &[u8]) -> Map<String, Value> {
    let out = state.on_chunk(chunk, Tick(0));
    let events: Vec<_> = Events::new(out.as_deref().unwrap_or(chunk)).flatten().collect();
    let body: Value = rmp_serde::from_slice(events.last().unwrap().body).unwrap();
    let attributes = body["attributes"].as_object().unwrap().clone();
    let of_state = |(key, value): (String, Value)| {
        Some((key.strip_prefix(Quantity::PREFIX)?.to_owned(), value))
    };
    attributes.into_iter().filter_map(of_state).collect()
}

fn expect(state: &mut ServerState, chunk: &[u8], expected: &Value) {
    assert_eq!(Value::Object(told(state, chunk)), *expected);
}

#[test]
fn a_span_gets_the_state_of_its_pod_and_its_gpus() {
    let pod = json!({
        "k8s.pod.uid": "u-1", "k8s.namespace.name": "ai", "k8s.pod.name": "vllm-0",
        "k8s.node.name": "node-1", "host.name": "vllm-0",
    });
    let exporter = json!({ "k8s.pod.name": "dcgm", "k8s.namespace.name": "gpu" });
    let gpu = |number: u64, pod: &str| json!({ "gpu": number, "Hostname": "node-1", "namespace": "ai", "pod": pod });
    let (engine_0, engine_1) = (json!({ "engine": "0" }), json!({ "engine": "1" }));
    let both = |first: f64, second: f64| [(engine_0.clone(), first), (engine_1.clone(), second)];
    let of_gpus = |first: f64, second: f64, other: f64| {
        [(gpu(0, "vllm-0"), first), (gpu(1, "vllm-0"), second), (gpu(2, "vllm-1"), other)]
    };
    let chunk = [
        gauge(&pod, "vllm:num_requests_waiting", 100, &both(3.0, 4.0)),
        gauge(&pod, "vllm:num_requests_running", 100, &both(8.0, 8.0)),
        gauge(&pod, "vllm:kv_cache_usage_perc", 100, &both(0.5, 0.75)),
        gauge(&exporter, "DCGM_FI_DEV_GPU_UTIL", 100, &of_gpus(100.0, 50.0, 7.0)),
        gauge(&exporter, "DCGM_FI_DEV_FB_USED", 100, &of_gpus(1024.0, 2048.0, 7.0)),
        gauge(&exporter, "DCGM_FI_DEV_POWER_USAGE", 100, &of_gpus(300.5, 200.0, 7.0)),
        gauge(&pod, "vllm:other", 100, &both(3.0, 4.0)),
        span(&pod, 110),
    ];
    let mut state = state(1 << 20);
    let expected = json!({
        "requests_waiting": 7, "requests_running": 16, "kv_cache_usage": 0.75,
        "gpu_utilization": 0.75, "gpu_memory": 3072 * MIB, "gpu_power": 500.5,
    });
    expect(&mut state, &chunk.concat(), &expected);
    // By the uid or the name alone it is the same pod.
    let by_uid = json!({ "k8s.pod.uid": "u-1" });
    let server_only =
        json!({ "requests_waiting": 7, "requests_running": 16, "kv_cache_usage": 0.75 });
    expect(&mut state, &span(&by_uid, 110), &server_only);
    let by_name = json!({ "k8s.namespace.name": "ai", "k8s.pod.name": "vllm-0" });
    expect(&mut state, &span(&by_name, 110), &expected);
    // Another pod of the node has no other's queue, but the node's GPUs.
    let beside = json!({ "k8s.pod.uid": "u-2", "k8s.node.name": "node-1" });
    let of_node = json!({
        "gpu_utilization": (1.0 + 0.5 + 7.0 * 0.01) / 3.0,
        "gpu_memory": 3079 * MIB,
        "gpu_power": 507.5,
    });
    expect(&mut state, &span(&beside, 110), &of_node);
    expect(&mut state, &span(&json!({ "k8s.pod.uid": "u-3" }), 110), &json!({}));
    expect(&mut state, &span(&json!({}), 110), &json!({}));
    let tally = *state.tally();
    assert_eq!((tally.told, tally.untold), (4, 2));
}

#[test]
fn a_span_gets_the_state_of_its_time() {
    let host = json!({ "host.name": "gpu-1" });
    let waiting =
        |second, value| gauge(&host, "sglang:num_queue_reqs", second, &[(json!({}), value)]);
    let mut state = state(1 << 20);
    for (second, value) in [(100, 1.0), (115, 2.0), (130, 3.0)] {
        assert_eq!(state.on_chunk(&waiting(second, value), Tick(0)), None);
    }
    for (second, expected) in
        [(99, None), (114, Some(1)), (115, Some(2)), (190, Some(3)), (191, None)]
    {
        let told = told(&mut state, &span(&host, second));
        assert_eq!(told.get("requests_waiting").cloned(), expected.map(|it| json!(it)), "{second}");
    }
    // What is no number tells nothing.
    let nothing =
        gauge(&host, "sglang:num_queue_reqs", 200, &[(json!({}), f64::NAN), (json!({}), -1.0)]);
    let body = json!({ "name": "sglang:num_queue_reqs", "gauge": { "data_points": [
        { "time_unix_nano": 200 * SECOND, "as_int": 5, "flags": 1 },
    ] } });
    let flagged = log_event(5, &metadata("metric", &host), &body);
    expect(&mut state, &[nothing, flagged, span(&host, 201)].concat(), &json!({}));
}

#[test]
fn labels_of_a_scrape_name_the_pod() {
    let collector = json!({ "service.name": "vllm" });
    let labels = json!({ "namespace": "ai", "pod": "vllm-0", "model_name": "m" });
    let pod = json!({ "k8s.namespace.name": "ai", "k8s.pod.name": "vllm-0" });
    let mut state = state(1 << 20);
    let scraped = gauge(&collector, "vllm:num_requests_running", 100, &[(labels, 5.0)]);
    expect(&mut state, &[scraped, span(&pod, 101)].concat(), &json!({ "requests_running": 5 }));
    // The exporter's labels, where Prometheus says which pod it scraped.
    let labels = json!({
        "namespace": "gpu", "pod": "dcgm", "exported_namespace": "ai", "exported_pod": "vllm-0",
    });
    let scraped = gauge(&collector, "DCGM_FI_DEV_POWER_USAGE", 100, &[(labels, 5.0)]);
    let expected = json!({ "requests_running": 5, "gpu_power": 5.0 });
    expect(&mut state, &[scraped, span(&pod, 101)].concat(), &expected);
}

#[test]
fn tasks_and_other_devices_are_left_out() {
    let host = json!({ "host.name": "gpu-1" });
    let utilization =
        [(json!({ "hw.gpu.task": "general" }), 0.5), (json!({ "hw.gpu.task": "decoder" }), 0.1)];
    let power = [(json!({ "hw.type": "gpu" }), 300.0), (json!({ "hw.type": "fan" }), 5.0)];
    let chunk = [
        gauge(&host, "hw.gpu.utilization", 100, &utilization),
        gauge(&host, "hw.power", 100, &power),
        span(&host, 101),
    ];
    let mut state = state(1 << 20);
    expect(&mut state, &chunk.concat(), &json!({ "gpu_utilization": 0.5, "gpu_power": 300.0 }));
}

#[test]
fn what_is_no_server_s_or_has_it_already_stays() {
    let host = json!({ "host.name": "gpu-1" });
    let mut state = state(1 << 20);
    let running = gauge(&host, "tgi_batch_current_size", 100, &[(json!({}), 5.0)]);
    assert_eq!(state.on_chunk(&running, Tick(0)), None);
    let once = state.on_chunk(&span(&host, 101), Tick(0)).unwrap();
    assert_eq!(state.on_chunk(&once, Tick(0)), None);
    let body = json!({
        "trace_id": "0af7651916cd43dd0000000000000001",
        "end_time_unix_nano": 101 * SECOND,
        "attributes": { "gen_ai.operation.name": "chat" },
    });
    assert_eq!(state.on_chunk(&log_event(5, &metadata("span", &host), &body), Tick(0)), None);
    let mut past = metadata("span", &host);
    past["otlp"]["from"] = json!([7, 2]);
    let body: Value = json!({ "attributes": { "gen_ai.latency.e2e": 1.0 } });
    assert_eq!(state.on_chunk(&log_event(5, &past, &body), Tick(0)), None);
}

/// Scenario: metrics of more pods and more series than there is memory for. Guarantees: the limit holds, and what
/// was forgotten is counted; after a while nothing is left.
#[test]
fn memory_is_bounded_whatever_comes() {
    const LIMIT: usize = 128 << 10;
    let mut state = state(LIMIT);
    for pod in 0..300 {
        let pod = json!({ "k8s.pod.uid": format!("u-{pod}") });
        let points: Vec<_> = (0..4).map(|engine| (json!({ "engine": engine }), 1.0)).collect();
        state.on_chunk(&gauge(&pod, "vllm:num_requests_waiting", 100, &points), Tick(0));
        assert!(state.held_bytes() <= LIMIT);
    }
    assert!(state.tally().forgotten_places > 0);
    let points: Vec<_> = (0..200).map(|engine| (json!({ "engine": engine }), 1.0)).collect();
    let pod = json!({ "k8s.pod.uid": "u" });
    state.on_chunk(&gauge(&pod, "vllm:num_requests_waiting", 100, &points), Tick(1));
    assert_eq!(state.tally().forgotten_points, 72);
    state.on_chunk(&[], Tick(1_000 * SECOND));
    assert_eq!(state.held_bytes(), 0);
}

proptest! {
    /// Scenario: any bytes, and metrics and spans broken by them. Guarantees: nothing of what came is lost.
    #[test]
    fn any_chunk_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..200), at_byte in 0_usize..600) {
        let host = json!({ "host.name": "h" });
        let metric = gauge(&host, "tgi_queue_size", 100, &[(json!({}), 1.0)]);
        let mut chunk = [metric, span(&host, 101)].concat();
        let place = at_byte % chunk.len();
        chunk.splice(place..place, bytes);
        let left = state(1 << 20).on_chunk(&chunk, Tick(0)).unwrap_or_else(|| chunk.clone());
        prop_assert!(left.len() >= chunk.len());
    }
}
