//! Page and its parts: what is answered to which path.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};

use super::document::{Heading, document};
use super::health::Health;
use super::host_header::is_ours;
use super::metrics::MetricsPage;
use super::verdict::{self, NoVerdict, verdict};
use crate::clock::{self, Tick};
use crate::hub::Hub;
use crate::receive::Page;
use crate::sync::Mutex;

/// How long a document is given to whoever asks: however many read it, it is made so often at most.
const FRESH: Duration = Duration::from_millis(500);

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// What never changes, by path.
const FILES: [(&str, &str, &str); 3] = [
    ("/", HTML, include_str!("assets/status.html")),
    ("/status.css", CSS, include_str!("assets/status.css")),
    ("/status.js", SCRIPT, include_str!("assets/status.js")),
];

/// Headers of every answer: nothing from elsewhere, nothing inline, in no frame, kept nowhere.
static HEADERS: [(HeaderName, &str); 5] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (CACHE_CONTROL, "no-store"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The page of a run.
pub struct StatusPage {
    hub: Arc<Hub>,
    health: Arc<Health>,
    instance: String,
    host_release: String,
    /// The name that the user gave to listen on.
    listen: String,
    started: u64,
    /// The document that was made last, and when.
    made: Mutex<Option<(Tick, Bytes)>>,
    metrics: MetricsPage,
}

impl StatusPage {
    /// The page of the input called `instance`, which listens on `listen`.
    #[must_use]
    pub fn new(
        hub: Arc<Hub>,
        health: Arc<Health>,
        (instance, host_release, listen): (&str, &str, &str),
    ) -> Self {
        Self {
            hub,
            health,
            instance: instance.to_owned(),
            host_release: host_release.to_owned(),
            listen: listen.to_owned(),
            started: clock::unix_nanos(),
            made: Mutex::new(None),
            metrics: MetricsPage::default(),
        }
    }

    /// The document, at most [`FRESH`] old. Whoever asks while it is made waits for it.
    fn json(&self, now: Tick) -> Bytes {
        let mut made = self.made.lock();
        if let Some((at, bytes)) = &*made
            && now.since(*at) < FRESH
        {
            return bytes.clone();
        }
        let heading = Heading {
            host_release: &self.host_release,
            instance: &self.instance,
            state: self.health.word(now),
            is_ready: self.health.is_ready(now),
            started: self.started,
        };
        let value = document(&self.hub, &heading, now, clock::unix_nanos());
        let bytes = Bytes::from(value.to_string());
        *made = Some((now, bytes.clone()));
        bytes
    }

    fn of_path(&self, request: &Parts) -> Response<Bytes> {
        let (path, now) = (request.uri.path(), clock::now());
        if let Some(id) = path.strip_prefix(verdict::PATH) {
            return self.verdict(id);
        }
        if let Some((_, kind, text)) = FILES.iter().find(|(known, _, _)| *known == path) {
            return reply(StatusCode::OK, kind, Bytes::from_static(text.as_bytes()));
        }
        let probe = |is_well: bool| {
            let status = if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            reply(status, TEXT, Bytes::from_static(self.health.word(now).as_bytes()))
        };
        match path {
            "/status.json" => reply(StatusCode::OK, JSON, self.json(now)),
            "/metrics" => match self.metrics.answer(&self.hub, &request.headers) {
                Ok(page) => {
                    let mut response = reply(StatusCode::OK, page.media_type, page.body);
                    if page.is_gzip {
                        let gzip = HeaderValue::from_static("gzip");
                        response.headers_mut().insert(CONTENT_ENCODING, gzip);
                    }
                    response
                }
                Err(problem) => text(StatusCode::SERVICE_UNAVAILABLE, problem),
            },
            "/healthz" => probe(!self.health.is_stuck(now)),
            "/readyz" => probe(self.health.is_ready(now)),
            _ => text(
                StatusCode::NOT_FOUND,
                "there is /, /status.json, /metrics, /verdict/CONVERSATION, /healthz and /readyz\n",
            ),
        }
    }

    fn verdict(&self, id: &str) -> Response<Bytes> {
        match verdict(&self.hub, id) {
            Ok(answer) => reply(StatusCode::OK, JSON, answer),
            Err(NoVerdict::NoId) => text(
                StatusCode::BAD_REQUEST,
                "after /verdict/ comes a conversation or a trace id\n",
            ),
            Err(NoVerdict::NotWatched) => text(
                StatusCode::NOT_FOUND,
                "no ai_metrics of this Fluent Bit has 'find_runaway' on, or none has started\n",
            ),
        }
    }
}

impl Page for StatusPage {
    fn answer(&self, request: &Parts) -> Response<Bytes> {
        if !is_ours(request, &self.listen) {
            return text(
                StatusCode::MISDIRECTED_REQUEST,
                "ask by address, by 'localhost' or by the name in 'status_listen'\n",
            );
        }
        if request.method != Method::GET && request.method != Method::HEAD {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        self.of_path(request)
    }
}

fn text(status: StatusCode, text: &'static str) -> Response<Bytes> {
    reply(status, TEXT, Bytes::from_static(text.as_bytes()))
}

fn reply(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in &HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
