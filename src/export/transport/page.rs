//! Page client: gets a page over an endpoint's own connections, with its credentials.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use flate2::bufread::MultiGzDecoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use reqwest::Url;

use crate::clock;
use crate::export::settings::EndpointSettings;
use crate::export::transport::causes::causes;
use crate::export::transport::connections::{ClientHandle, EndpointConnections};
use crate::export::transport::credentials::EndpointCredentials;
use crate::export::transport::tls::ClientProblem;
use crate::stats::Log;

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 5;

/// Gets one page again and again.
pub struct PageClient {
    connections: EndpointConnections,
    credentials: Option<EndpointCredentials>,
    headers: HeaderMap,
    url: Url,
    timeout: Duration,
    max_bytes: usize,
}

/// A page that came.
#[derive(Debug)]
pub struct ReceivedPage {
    /// Its media type with its parameters, in lower case; empty if it has none.
    pub media_type: String,
    /// Its bytes, as they came.
    pub body: Vec<u8>,
    /// Whether they are compressed by gzip.
    pub is_gzip: bool,
}

impl ReceivedPage {
    /// The bytes without compression, of which there may be `max_bytes`.
    ///
    /// # Errors
    /// There are more, or they are damaged.
    pub fn plain(self, max_bytes: usize) -> Result<Vec<u8>, PageFailure> {
        if !self.is_gzip {
            return Ok(self.body);
        }
        let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
        let mut plain = Vec::new();
        let read = MultiGzDecoder::new(&self.body[..]).take(limit).read_to_end(&mut plain);
        read.map_err(|error| {
            PageFailure::new(
                PageFailureReason::Encoding,
                format!("the gzip data is damaged: {error}"),
            )
        })?;
        if plain.len() > max_bytes {
            return Err(PageFailure::too_large(max_bytes));
        }
        Ok(plain)
    }
}

/// Why no page came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageFailureReason {
    /// Nobody is there.
    Connect,
    /// It took too long.
    Timeout,
    /// The connection broke.
    Transport,
    /// There is no token, or it is not accepted (401, 403).
    Credentials,
    /// The status is another one than 200.
    Status,
    /// The page is too large.
    TooLarge,
    /// It is compressed in another way than was asked for, or damaged.
    Encoding,
}

impl PageFailureReason {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::Connect,
        Self::Timeout,
        Self::Transport,
        Self::Credentials,
        Self::Status,
        Self::TooLarge,
        Self::Encoding,
    ];

    /// Its name in counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Transport => "transport",
            Self::Credentials => "credentials",
            Self::Status => "status",
            Self::TooLarge => "too_large",
            Self::Encoding => "encoding",
        }
    }
}

/// Why no page came, in words.
#[derive(Debug)]
pub struct PageFailure {
    /// The kind.
    pub reason: PageFailureReason,
    /// More of it, without any secret.
    pub message: String,
}

impl PageFailure {
    const fn new(reason: PageFailureReason, message: String) -> Self {
        Self { reason, message }
    }

    fn too_large(max_bytes: usize) -> Self {
        let message = format!("the page has more than {max_bytes} bytes");
        Self::new(PageFailureReason::TooLarge, message)
    }

    fn of(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let reason = if error.is_timeout() {
            PageFailureReason::Timeout
        } else if error.is_connect() {
            PageFailureReason::Connect
        } else {
            PageFailureReason::Transport
        };
        Self::new(reason, causes(&error))
    }
}

impl PageClient {
    /// A client of the page at the endpoint's URL. Files are read; it connects when it is first used.
    ///
    /// # Errors
    /// What of the settings makes no client.
    pub fn new(
        endpoint: &EndpointSettings,
        accept: &'static str,
        max_bytes: usize,
        log: &Arc<Log>,
    ) -> Result<Self, ClientProblem> {
        let url = Url::parse(&endpoint.url.to_string())
            .map_err(|error| ClientProblem::new(&endpoint.name, "url", error.to_string()))?;
        let mut headers = HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static(accept)),
            (ACCEPT_ENCODING, HeaderValue::from_static("gzip")),
        ]);
        for (name, value) in &endpoint.headers {
            let mut value = value.clone();
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(Self {
            connections: EndpointConnections::new(endpoint, log)?,
            credentials: EndpointCredentials::new(endpoint, log)?,
            headers,
            url,
            timeout: endpoint.timeout,
            max_bytes,
        })
    }

    /// Gets the page, within the endpoint's timeout. Redirects are followed to where the credentials may
    /// go: the same scheme, host and port.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn get(&self) -> Result<ReceivedPage, PageFailure> {
        let start = clock::now();
        let mut headers = self.headers.clone();
        if let Some(credentials) = &self.credentials {
            credentials
                .apply(&mut headers)
                .await
                .map_err(|message| PageFailure::new(PageFailureReason::Credentials, message))?;
        }
        let mut url = self.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let left = self.timeout.saturating_sub(clock::now().since(start));
            let response = self.send(&url, &headers, left).await?;
            match self.redirect(&url, &response)? {
                Some(next) => url = next,
                None => return self.read(response).await,
            }
        }
        let message = format!("more than {MAX_REDIRECTS} redirects");
        Err(PageFailure::new(PageFailureReason::Status, message))
    }

    async fn send(
        &self,
        url: &Url,
        headers: &HeaderMap,
        limit: Duration,
    ) -> Result<reqwest::Response, PageFailure> {
        let ClientHandle { http, generation } = self.connections.current();
        let request = http.get(url.clone()).headers(headers.clone()).timeout(limit);
        request.send().await.map_err(|error| {
            let failure = PageFailure::of(error);
            if failure.reason == PageFailureReason::Timeout {
                self.connections.fell_silent(generation);
            }
            failure
        })
    }

    /// Where an answer leads, if it does.
    fn redirect(
        &self,
        from: &Url,
        response: &reqwest::Response,
    ) -> Result<Option<Url>, PageFailure> {
        if !response.status().is_redirection() {
            return Ok(None);
        }
        let status = response.status().as_u16();
        let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
        let to = to.and_then(|to| from.join(to).ok());
        let is_same = |to: &Url| to.origin() == self.url.origin();
        match to {
            Some(to) if is_same(&to) => Ok(Some(to)),
            to => {
                let host = to.and_then(|to| to.host_str().map(str::to_owned)).unwrap_or_default();
                let message = format!(
                    "status {status}: a redirect to '{host}', which is another place; write that as its url"
                );
                Err(PageFailure::new(PageFailureReason::Status, message))
            }
        }
    }

    async fn read(&self, response: reqwest::Response) -> Result<ReceivedPage, PageFailure> {
        let status = response.status().as_u16();
        if status != 200 {
            let is_unauthorized = matches!(status, 401 | 403);
            if let Some(credentials) = self.credentials.as_ref().filter(|_| is_unauthorized) {
                // The next one gets another token, if there is one.
                credentials.renew(credentials.generation()).await;
            }
            let reason = if is_unauthorized {
                PageFailureReason::Credentials
            } else {
                PageFailureReason::Status
            };
            return Err(PageFailure::new(reason, format!("status {status}")));
        }
        let (parts, mut stream) = http::Response::from(response).into_parts();
        let mut body = Vec::new();
        while let Some(frame) = stream.frame().await {
            let Ok(data) = frame.map_err(PageFailure::of)?.into_data() else { continue };
            if body.len().saturating_add(data.len()) > self.max_bytes {
                return Err(PageFailure::too_large(self.max_bytes));
            }
            body.extend_from_slice(&data);
        }
        let media_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.unwrap_or_default().to_ascii_lowercase();
        let encoding = parts.headers.get(CONTENT_ENCODING).map_or(&b""[..], HeaderValue::as_bytes);
        let is_gzip = match encoding {
            b"" => false,
            identity if identity.eq_ignore_ascii_case(b"identity") => false,
            gzip if gzip.eq_ignore_ascii_case(b"gzip") => true,
            other => {
                let message =
                    format!("the page is compressed by '{}'", String::from_utf8_lossy(other));
                return Err(PageFailure::new(PageFailureReason::Encoding, message));
            }
        };
        Ok(ReceivedPage { media_type, body, is_gzip })
    }
}

impl std::fmt::Debug for PageClient {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PageClient")
    }
}
