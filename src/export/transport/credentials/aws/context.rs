//! Dependency injection: what the sources of credentials use of the outside, the environment,
//! files, and HTTP.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Limited};
use reqsign_core::{Context, Error, FileRead, HttpSend, OsEnv, Result};

use crate::export::settings::{EndpointSettings, Protocol};
use crate::export::transport::connections::EndpointConnections;
use crate::export::transport::tls::ClientProblem;
use crate::files;
use crate::runtime::heavy;
use crate::stats::Log;

/// The services of a pod or machine answer at once, and where there are none there is no answer.
const LOCAL_TIMEOUT: Duration = Duration::from_secs(2);
/// For STS, which is somewhere else.
const STS_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer, and the largest file, that is read.
const MAX_BYTES: usize = 1 << 20;

/// The context of the sources of one endpoint's credentials. STS is asked by way of the endpoint's
/// proxy and with its certificates, and at `sts` if that is given; what is on the machine is asked
/// directly.
pub(super) fn context(
    endpoint: &EndpointSettings,
    sts: Option<&Uri>,
    log: &Arc<Log>,
) -> std::result::Result<Context, ClientProblem> {
    let settings = |timeout, proxy| EndpointSettings {
        address: None,
        protocol: Protocol::HttpProtobuf,
        url: sts.cloned().unwrap_or_else(|| Uri::from_static("https://sts.amazonaws.com")),
        timeout,
        proxy,
        ..endpoint.clone()
    };
    let http = Http {
        local: EndpointConnections::new(&settings(LOCAL_TIMEOUT, None), log)?,
        remote: EndpointConnections::new(&settings(STS_TIMEOUT, endpoint.proxy.clone()), log)?,
        sts: sts.cloned(),
    };
    Ok(Context::new().with_env(OsEnv).with_file_read(Files).with_http_send(http))
}

/// The same request to the scheme and host of another URL.
pub(super) fn moved(uri: &Uri, to: &Uri) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    parts.scheme = to.scheme().cloned();
    parts.authority = to.authority().cloned();
    Uri::from_parts(parts).ok()
}

/// Whether a request goes to AWS's Security Token Service.
fn is_sts(uri: &Uri) -> bool {
    uri.scheme() == Some(&Scheme::HTTPS)
        && uri.authority().map(Authority::host).is_some_and(|host| host.starts_with("sts."))
}

#[derive(Debug)]
struct Files;

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> Result<Vec<u8>> {
        let path = Path::new(path);
        let read = heavy(usize::MAX, || files::read(path, MAX_BYTES as u64));
        read.map_err(|problem| Error::config_invalid(problem.of(path)))
    }
}

/// Requests to STS, and to what serves credentials on the machine.
struct Http {
    local: EndpointConnections,
    remote: EndpointConnections,
    /// Where STS is, if not where AWS has it.
    sts: Option<Uri>,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Http")
    }
}

impl HttpSend for Http {
    async fn http_send(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>> {
        let elsewhere = self.sts.as_ref().filter(|_| is_sts(request.uri()));
        if let Some(uri) = elsewhere.and_then(|sts| moved(request.uri(), sts)) {
            *request.uri_mut() = uri;
        }
        let is_remote = request.uri().scheme() == Some(&Scheme::HTTPS)
            || self.sts.as_ref().and_then(Uri::authority) == request.uri().authority();
        let connections = if is_remote { &self.remote } else { &self.local };
        let failed = |error: reqwest::Error| {
            let message = crate::export::transport::causes::causes(&error.without_url());
            Error::unexpected(message).set_retryable(true)
        };
        let request = reqwest::Request::try_from(request).map_err(failed)?;
        let response = connections.current().http.execute(request).await.map_err(failed)?;
        let (parts, body) = Response::from(response).into_parts();
        let body = Limited::new(body, MAX_BYTES).collect().await.map_err(|error| {
            Error::unexpected(format!("the answer cannot be read: {error}")).set_retryable(true)
        })?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_to_sts_go_where_it_is_said_to_be() {
        let uri = Uri::from_static("https://sts.eu-west-1.amazonaws.com/?Action=AssumeRole");
        assert!(is_sts(&uri));
        let to = Uri::from_static("http://127.0.0.1:4566");
        assert_eq!(moved(&uri, &to).unwrap(), "http://127.0.0.1:4566/?Action=AssumeRole");
        assert!(!is_sts(&Uri::from_static("http://169.254.169.254/latest/api/token")));
    }
}
