//! What the demo sends: captures of real programs, and calls to a model that becomes slower.

use std::path::Path;

use testkit::made_spans;

use super::Ports;
use crate::client::Client;
use crate::replay;

/// Calls that are slow, after a thousand that are not.
const SLOW: u64 = 80;

/// What was sent.
#[derive(Default)]
pub struct Sent {
    pub captures: usize,
    pub spans: usize,
    pub metrics: usize,
    pub logs: usize,
}

/// Sends all of it, over OTLP/HTTP and OTLP/gRPC in turn. `told` prints what each capture has.
pub async fn send(captures: &Path, ports: &Ports, told: bool) -> Sent {
    let mut http = Client::connect(ports.http, false).await.expect("OTLP/HTTP");
    let mut grpc = Client::connect(ports.grpc, true).await.expect("OTLP/gRPC");
    let mut sent = Sent::default();
    for (name, requests) in replay::read_folder(captures) {
        let (mut spans, mut metrics, mut logs) = (0, 0, 0);
        for (index, captured) in requests.into_iter().enumerate() {
            let mut items = 0;
            crate::wire::items(&captured.body, |_| items += 1);
            match captured.path.as_str() {
                "/v1/traces" => spans += items,
                "/v1/metrics" => metrics += items,
                _ => logs += items,
            }
            let client = if index % 2 == 0 { &mut http } else { &mut grpc };
            let service = captured.service();
            client.send(&captured.path, service, captured.body).await.expect("accepted");
        }
        if told {
            println!("   {name}: {spans} spans, {metrics} metrics, {logs} logs");
        }
        sent.captures += 1;
        sent.spans += spans;
        sent.metrics += metrics;
        sent.logs += logs;
    }
    sent.spans += degrade(&mut http).await;
    sent
}

/// Sends calls to a model that becomes three times as slow. Their traces have ids that look drawn, which chance goes by.
async fn degrade(http: &mut Client) -> usize {
    let mut spans = made_spans::slower_model(SLOW);
    for (span, number) in spans.iter_mut().zip(1_u128..) {
        let id = number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        span.trace_id = id.to_be_bytes().to_vec();
    }
    for spans in spans.chunks(100) {
        let request = made_spans::request("shop", spans);
        http.send("/v1/traces", "", request).await.expect("accepted");
    }
    spans.len()
}
