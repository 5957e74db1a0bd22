//! Connection task: one connection from its first byte to its end.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};

use super::connections::{CloseReason, ConnectionSlot};
use super::http::refused;
use super::limits::ClientLimits;
use super::receiver_state::{Answering, ReceiverState};
use super::refusal::Refusal;
use super::response_body::ResponseBody;
use super::security::Peer;
use super::service::Service;
use super::{grpc, http as otlp_http};
use crate::clock::{self, Tick};
use crate::runtime::Tasks;

/// How long the last answers may take on their way.
pub(super) const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// How long a client may take to see that its idle connection ends.
const PARTING: Duration = Duration::from_secs(5);
/// The shortest sleep between two looks at a connection's time.
const MIN_SLEEP: Duration = Duration::from_millis(10);
/// How much of an HTTP/1 request is read at a time; a limit on headers that is larger wins.
const READ_BUFFER: usize = 64 * 1024;
const STREAM_WINDOW: u32 = 512 * 1024;
const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;
const FRAME_SIZE: u32 = 64 * 1024;
/// What HTTP/2 counts for each header beside its bytes (RFC 9113, section 6.5.2).
const PER_HEADER: usize = 32;

/// Serves one connection of a client that may have shown who it is, to its end, to the stop of the
/// receiver, or until a limit of time.
pub(super) async fn serve<S>(
    stream: S,
    peer: Option<Arc<Peer>>,
    shared: ReceiverState,
    slot: ConnectionSlot,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = Arc::clone(&shared.limits);
    let activity = &slot.activity;
    let service = service_fn(|mut request: Request<Incoming>| {
        if let Some(peer) = &peer {
            request.extensions_mut().insert(Arc::clone(peer));
        }
        let busy = activity.begin();
        let answering = shared.answering.clone();
        let max_header_size = limits.max_header_size;
        async move {
            let response = busy.scope(answer(&answering, request, max_header_size)).await;
            drop(busy);
            Ok::<_, Infallible>(response)
        }
    });
    let builder = builder(shared.tasks.clone(), &limits);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut stop = shared.stop.clone();
    let mut time = Time::new(&slot, &limits);
    loop {
        let wait = time.wait(&slot, &limits);
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    note(&*error, &shared);
                }
                return;
            }
            _ = stop.wait_for(|stop| *stop), if !time.stopping => {
                time.stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            () = activity.evicted() => {
                // A request may have come in between; its answer is still sent.
                if activity.is_expendable(clock::now()) {
                    return;
                }
                time.part(PARTING);
                connection.as_mut().graceful_shutdown();
            }
            () = tokio::time::sleep(wait.max(MIN_SLEEP)) => match time.up(&slot, &limits) {
                Up::No => {}
                Up::Part(reason) => {
                    shared.connections.count(reason);
                    connection.as_mut().graceful_shutdown();
                }
                Up::End(reason) => {
                    if let Some(reason) = reason {
                        shared.connections.count(reason);
                    }
                    return;
                }
            }
        }
    }
}

/// A connection's own times.
struct Time {
    /// When it is old.
    old: Option<Tick>,
    /// When it ends whatever its client does, after it was asked to.
    end: Option<Tick>,
    /// The receiver stops; the owner decides when it is over.
    stopping: bool,
}

/// What a look at the time shows.
#[derive(Debug, PartialEq, Eq)]
enum Up {
    No,
    /// Ask the client to leave.
    Part(CloseReason),
    End(Option<CloseReason>),
}

impl Time {
    fn new(slot: &ConnectionSlot, limits: &ClientLimits) -> Self {
        let old = limits.age_of(slot.id).map(|age| clock::now().after(age));
        Self { old, end: None, stopping: false }
    }

    /// How long until something may be up.
    fn wait(&self, slot: &ConnectionSlot, limits: &ClientLimits) -> Duration {
        let now = clock::now();
        if let Some(end) = self.end {
            return end.since(now);
        }
        // A first request changes what the connection waits for.
        let idle = limits.idle_timeout.unwrap_or(Duration::MAX);
        let wait = slot.activity.patience(limits, now).0.min(idle);
        self.old.map_or(wait, |old| wait.min(old.since(now)))
    }

    fn part(&mut self, grace: Duration) {
        self.end = Some(clock::now().after(grace));
    }

    fn up(&mut self, slot: &ConnectionSlot, limits: &ClientLimits) -> Up {
        let now = clock::now();
        if let Some(end) = self.end {
            return if now >= end { Up::End(None) } else { Up::No };
        }
        if self.stopping {
            return Up::No;
        }
        if self.old.is_some_and(|old| now >= old) {
            self.part(limits.max_connection_age_grace);
            return Up::Part(CloseReason::MaxAge);
        }
        match slot.activity.patience(limits, now) {
            (left, _) if !left.is_zero() => Up::No,
            (_, CloseReason::HeaderTimeout) => Up::End(Some(CloseReason::HeaderTimeout)),
            (_, reason) => {
                self.part(PARTING);
                Up::Part(reason)
            }
        }
    }
}

async fn answer(
    answering: &Answering,
    request: Request<Incoming>,
    max_header_size: u32,
) -> Response<ResponseBody> {
    match answering {
        Answering::Otlp(service) => answer_otlp(service, request, max_header_size).await,
        Answering::Page(page) => page.answer(&request.into_parts().0),
    }
}

async fn answer_otlp(
    service: &Service,
    request: Request<Incoming>,
    max_header_size: u32,
) -> Response<ResponseBody> {
    let limit = usize::try_from(max_header_size).unwrap_or(usize::MAX);
    // HTTP/2 looks at this by itself.
    if request.version() <= Version::HTTP_11 && header_size(&request) > limit {
        let refusal = Refusal::Headers(limit);
        service.note(&refusal);
        return refused(&HeaderMap::new(), &refusal, refusal.retry_after());
    }
    if grpc::is_grpc(request.headers()) {
        grpc::answer(service, request).await
    } else if let Some(cors) = &service.security.cors {
        if let Some(answer) = cors.preflight(&request) {
            return answer;
        }
        let exposing = cors.exposing(request.headers());
        let mut response = otlp_http::answer(service, request).await;
        exposing.write(response.headers_mut());
        response
    } else {
        otlp_http::answer(service, request).await
    }
}

fn header_size(request: &Request<Incoming>) -> usize {
    let uri = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    request.headers().iter().fold(uri, |sum, (name, value)| {
        sum.saturating_add(name.as_str().len())
            .saturating_add(value.len())
            .saturating_add(PER_HEADER)
    })
}

/// Counts what the protocol closed for us. Other errors are the client's business: it left, or it
/// does not speak HTTP.
fn note(error: &(dyn std::error::Error + Send + Sync + 'static), shared: &ReceiverState) {
    let Some(error) = error.downcast_ref::<hyper::Error>() else { return };
    if error.is_parse_too_large() {
        let limit = usize::try_from(shared.limits.max_header_size).unwrap_or(usize::MAX);
        if let Answering::Otlp(service) = &shared.answering {
            service.note(&Refusal::Headers(limit));
        }
    } else if error.is_timeout() {
        shared.connections.count(CloseReason::KeepaliveTimeout);
    }
}

/// HTTP/1.1 and HTTP/2, whichever the client starts with, or HTTP/1.1 alone.
fn builder(tasks: Tasks, limits: &ClientLimits) -> auto::Builder<Tasks> {
    let mut builder = auto::Builder::new(tasks);
    if !limits.http2 {
        builder = builder.http1_only();
    }
    let header_size = usize::try_from(limits.max_header_size).unwrap_or(usize::MAX);
    builder
        .http1()
        .timer(TokioTimer::new())
        // Its clock also runs while nothing is asked; ours does not.
        .header_read_timeout(None)
        .max_buf_size(READ_BUFFER.max(header_size));
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.keepalive_time)
        .keep_alive_timeout(limits.keepalive_timeout)
        .max_concurrent_streams(limits.max_concurrent_streams)
        .max_header_list_size(limits.max_header_size)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME_SIZE);
    builder
}
