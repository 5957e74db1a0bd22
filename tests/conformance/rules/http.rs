//! Rules of OTLP/HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use http::Method;

use crate::answer::{Verdict, ensure, header, refusal, success};
use crate::call::{Call, Connection};
use crate::ground::Ground;
use crate::requests::Signal;
use crate::stored::Expected;
use crate::table::Transport;

pub fn paths(ground: &Ground, transport: Transport) -> Verdict {
    for signal in Signal::ALL {
        let (message, _) = ground.one(signal, transport);
        ground.taken(signal, transport, &message)?;
        for path in ["/", "/v1", "/v1/trace", "/v1/traces/more", "/traces", "/V1/TRACES"] {
            let refusal = ground.refused(transport, &Call::new(transport, path, &message))?;
            ensure!(refusal.code == 404, "{path}: {}", refusal.code);
        }
    }
    Ok(())
}

pub fn post_only(ground: &Ground, transport: Transport) -> Verdict {
    let (message, name) = ground.one(Signal::Traces, transport);
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH] {
        let call = Call::new(transport, "/v1/traces", &message).method(method.clone());
        let reply = ground.send(transport, &call)?;
        ensure!(reply.status == 405, "{method}: {}", reply.status);
        ensure!(header(&reply, "allow").contains("POST"), "{method}: no Allow");
    }
    ground.expect("post-only", transport, Expected::Times(Signal::Traces, name, 0));
    Ok(())
}

/// Sends in the transport's encoding and then in the other, on one connection.
pub fn one_port(ground: &Ground, transport: Transport) -> Verdict {
    let mut connection = ground.connect(transport)?;
    let (message, name) = ground.one(Signal::Logs, transport);
    let call = Call::new(transport, "/v1/logs", &message);
    success(Signal::Logs, transport, &ground.send_on(&mut connection, &call)?)?;
    ground.expect("one-port", transport, Expected::Times(Signal::Logs, name, 1));
    let other = match transport {
        Transport::Json => Transport::Protobuf,
        _ => Transport::Json,
    };
    // The other encoding is understood or refused as what it is, never taken for this one.
    let (message, _) = ground.one(Signal::Logs, other);
    let call = Call::new(other, "/v1/logs", &message);
    let reply = ground.send_on(&mut connection, &call)?;
    let kind = header(&reply, "content-type");
    ensure!(kind == other.content_type(), "the answer to {} is {kind}", other.name());
    Ok(())
}

pub fn content_type(ground: &Ground, transport: Transport) -> Verdict {
    let (message, name) = ground.one(Signal::Traces, transport);
    for kind in ["text/plain", "application/xml", "application/x-protobuffer", ""] {
        let mut call = Call::new(transport, "/v1/traces", &message).with("content-type", kind);
        if kind.is_empty() {
            call.headers.remove("content-type");
        }
        let reply = ground.send(transport, &call)?;
        ensure!(reply.status == 415 || reply.status == 400, "'{kind}': {}", reply.status);
    }
    ground.expect("content-type", transport, Expected::Times(Signal::Traces, name, 0));
    let (message, name) = ground.one(Signal::Traces, transport);
    let kind = format!("{}; charset=utf-8", transport.content_type());
    let call = Call::new(transport, "/v1/traces", &message).with("content-type", &kind);
    ground.whole(Signal::Traces, transport, &call)?;
    ground.expect("content-type", transport, Expected::Times(Signal::Traces, name, 1));
    Ok(())
}

pub fn answer_content_type(ground: &Ground, transport: Transport) -> Verdict {
    let (message, _) = ground.one(Signal::Traces, transport);
    let calls = [
        (200, Call::new(transport, "/v1/traces", &message)),
        (400, Call::new(transport, "/v1/traces", &message[..message.len() - 1])),
        (404, Call::new(transport, "/v1/nothing", &message)),
        (405, Call::new(transport, "/v1/traces", &message).method(Method::PUT)),
        (413, Call::new(transport, "/v1/traces", &vec![b' '; crate::ground::LARGEST + 1])),
    ];
    for (status, call) in calls {
        let reply = ground.send(transport, &call)?;
        ensure!(reply.status == status, "{} instead of {status}", reply.status);
        let kind = header(&reply, "content-type");
        ensure!(kind == transport.content_type(), "{status}: '{kind}'");
    }
    Ok(())
}

pub fn error_body(ground: &Ground, transport: Transport) -> Verdict {
    let (message, _) = ground.one(Signal::Metrics, transport);
    let calls = [
        Call::new(transport, "/v1/metrics", &message[..message.len() - 1]),
        Call::new(transport, "/v1/nothing", &message),
        Call::new(transport, "/v1/metrics", &message).method(Method::PUT),
        Call::new(transport, "/v1/metrics", &message).with("content-encoding", "rot13"),
        Call::new(transport, "/v1/metrics", &vec![b' '; crate::ground::LARGEST + 1]),
    ];
    for call in calls {
        let refusal = refusal(transport, &ground.send(transport, &call)?)?;
        ensure!(refusal.message.len() > 10, "{} says '{}'", refusal.code, refusal.message);
    }
    Ok(())
}

pub fn both_versions(ground: &Ground, transport: Transport) -> Verdict {
    for http2 in [false, true] {
        let connection = Connection::open(ground.port(transport), http2);
        let mut connection = ground.runtime.block_on(connection)?;
        let (message, name) = ground.one(Signal::Traces, transport);
        let call = Call::new(transport, "/v1/traces", &message);
        success(Signal::Traces, transport, &ground.send_on(&mut connection, &call)?)?;
        ground.expect("http-versions", transport, Expected::Times(Signal::Traces, name, 1));
    }
    Ok(())
}

pub fn chunked(ground: &Ground, transport: Transport) -> Verdict {
    let (message, name) = ground.one(Signal::Traces, transport);
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {}\r\n\
         transfer-encoding: chunked\r\n\r\n",
        transport.content_type()
    );
    let mut bytes = head.into_bytes();
    for chunk in message.chunks(7) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    let answer = raw(ground.port(transport), &bytes)?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    ground.expect("chunked", transport, Expected::Times(Signal::Traces, name, 1));
    Ok(())
}

/// Sends bytes and reads until the connection ends.
fn raw(port: u16, bytes: &[u8]) -> Result<String, String> {
    let exchange = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(testkit::at_most(Duration::from_secs(20))))?;
        stream.write_all(bytes)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange().map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

pub fn plain_answer(ground: &Ground, transport: Transport) -> Verdict {
    let (message, _) = ground.one(Signal::Traces, transport);
    let call = Call::gzipped(transport, "/v1/traces", &message);
    let reply = ground.send(transport, &call)?;
    let encoding = header(&reply, "content-encoding");
    ensure!(encoding.is_empty() || encoding == "identity", "content encoding '{encoding}'");
    success(Signal::Traces, transport, &reply)?;
    Ok(())
}
