//! Rules for a receiver that cannot take data now.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use crate::answer::{Verdict, ensure};
use crate::call::Call;
use crate::ground::{Ground, LARGEST};
use crate::requests::{Signal, encode, span, traces_of};
use crate::table::Transport;

/// Fills the host's memory until it pauses the input. Its backend must be down.
pub fn pause(ground: &Ground) {
    let spans = (0..100).map(|number| span(&format!("{number} {}", "x".repeat(5000)))).collect();
    let message = encode(&traces_of(spans), Transport::Protobuf);
    let call = Call::new(Transport::Protobuf, "/v1/traces", &message);
    for _ in 0..100 {
        if ground.send(Transport::Protobuf, &call).unwrap().status != 200 {
            return;
        }
    }
    panic!("the host was never paused");
}

/// Holds all the memory that the receiver may use with requests whose last bytes do not come for as
/// long as the receiver waits.
pub fn fill(ground: &mut Ground) {
    let (message, _) = ground.one(Signal::Traces, Transport::Protobuf);
    let call = Call::new(Transport::Protobuf, "/v1/traces", &message);
    for _ in 0..20 {
        let stream = unfinished(ground.http);
        ground.held.push(stream);
        std::thread::sleep(Duration::from_millis(200));
        if ground.send(Transport::Protobuf, &call).unwrap().status != 200 {
            return;
        }
    }
    panic!("the receiver was never full");
}

/// A request of the largest size whose last bytes do not come.
fn unfinished(http: u16) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", http)).unwrap();
    stream.set_write_timeout(Some(testkit::at_most(Duration::from_secs(5)))).unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
         content-length: {LARGEST}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // What is beyond the memory is refused while it is sent.
    let _ = stream.write_all(&vec![0; LARGEST - 10]);
    stream
}

pub fn throttled(ground: &Ground, transport: Transport) -> Verdict {
    for signal in Signal::ALL {
        let (message, _) = ground.one(signal, transport);
        let call = Call::new(transport, signal.path(transport), &message);
        let refusal = ground.refused(transport, &call)?;
        let codes: &[u16] = if transport == Transport::Grpc { &[14, 8] } else { &[503, 429] };
        ensure!(codes.contains(&refusal.code), "code {}: {}", refusal.code, refusal.message);
        ensure!(refusal.is_retryable(transport), "{refusal:?}");
        let delay = refusal.retry_after.ok_or("no time to wait")?;
        ensure!((0.001..=60.0).contains(&delay), "wait {delay} s");
    }
    Ok(())
}

pub fn mistakes(ground: &Ground, transport: Transport) -> Verdict {
    let (message, _) = ground.one(Signal::Traces, transport);
    let calls = [
        (404, Call::new(transport, "/v1/nothing", &message)),
        (405, Call::new(transport, "/v1/traces", &message).method(http::Method::PUT)),
    ];
    for (status, call) in calls {
        let refusal = ground.refused(transport, &call)?;
        ensure!(refusal.code == status, "{} instead of {status}", refusal.code);
        ensure!(refusal.retry_after.is_none(), "{status} with a time to wait");
    }
    Ok(())
}
