//! Refreshing credentials: headers from files that are read again, and tokens that are fetched.

mod assertion;
mod aws;
mod file;
mod oauth;
mod secret;

use std::path::Path;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

use crate::export::settings::EndpointSettings;
use crate::export::transport::tls::ClientProblem;
use crate::stats::Log;
pub(in crate::export) use aws::AwsSigner;
use file::WatchedHeaders;
use oauth::TokenFetcher;
use secret::secret;

/// The changing headers of one endpoint.
pub(in crate::export) struct EndpointCredentials {
    headers: Option<WatchedHeaders>,
    bearer: Option<WatchedHeaders>,
    tokens: Option<TokenFetcher>,
    aws: Option<AwsSigner>,
}

impl EndpointCredentials {
    /// The headers that the settings ask for; files are read for the first time.
    pub(in crate::export) fn new(
        endpoint: &EndpointSettings,
        log: &Arc<Log>,
    ) -> Result<Option<Self>, ClientProblem> {
        let given = &endpoint.credentials;
        let watch = |option, path: Option<&Path>, parse| {
            let open = |path: &Path| {
                WatchedHeaders::open(path, parse, &endpoint.name, log)
                    .map_err(|message| ClientProblem::new(&endpoint.name, option, message))
            };
            path.map(open).transpose()
        };
        let headers =
            watch("headers_file", given.headers_file.as_deref(), lines as file::ParseHeaders)?;
        let bearer = watch("bearer_token_file", given.bearer_token_file.as_deref(), bearer)?;
        let tokens = TokenFetcher::new(endpoint, log)?;
        let aws = AwsSigner::new(endpoint, log)?;
        let any = headers.is_some() || bearer.is_some() || tokens.is_some() || aws.is_some();
        Ok(any.then_some(Self { headers, bearer, tokens, aws }))
    }

    /// Puts the headers of now into `headers`.
    ///
    /// # Errors
    /// Why there is no token, without any secret.
    pub(in crate::export) async fn apply(&self, headers: &mut HeaderMap) -> Result<(), String> {
        for file in self.files() {
            for (name, value) in &file.current() {
                headers.insert(name, value.clone());
            }
        }
        if let Some(tokens) = &self.tokens {
            headers.insert(AUTHORIZATION, tokens.current().await?);
        }
        Ok(())
    }

    /// What signs requests, which have their other headers by then.
    pub(in crate::export) const fn signer(&self) -> Option<&AwsSigner> {
        self.aws.as_ref()
    }

    /// How often the files' headers have changed. Ask it before a request.
    pub(in crate::export) fn generation(&self) -> u64 {
        self.files().map(WatchedHeaders::generation).fold(0, u64::wrapping_add)
    }

    /// The endpoint does not accept what a request had, which began at `generation`: files are read
    /// at once, because their time may not have come since they changed, and the next request gets
    /// another token. Whether there is something else to be had.
    pub(in crate::export) async fn renew(&self, generation: u64) -> bool {
        self.files().for_each(WatchedHeaders::read_again);
        if let Some(tokens) = &self.tokens {
            tokens.forget().await;
            return true;
        }
        if let Some(aws) = &self.aws
            && aws.renew().await
        {
            return true;
        }
        // Another request may have been first to read the files.
        self.generation() != generation
    }

    fn files(&self) -> impl Iterator<Item = &WatchedHeaders> {
        [&self.headers, &self.bearer].into_iter().flatten()
    }
}

/// A file of headers: `name: value` or `name=value`, one a line; `#` starts a remark.
fn lines(text: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = || format!("line {number} is not 'name: value'");
        let at = line.find([':', '=']).ok_or_else(wrong)?;
        let (name, value) = line.split_at_checked(at).ok_or_else(wrong)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| wrong())?;
        let value = value.get(1..).and_then(|value| secret(value.trim())).ok_or_else(wrong)?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// A file that holds a token and nothing else.
fn bearer(text: &str) -> Result<HeaderMap, String> {
    let token = text.trim();
    let value = secret(&format!("Bearer {token}")).filter(|_| !token.is_empty());
    let value = value.ok_or_else(|| "it does not hold one token".to_owned())?;
    Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_files_are_read_line_by_line_and_problems_hide_values() {
        let headers = lines("# who\nX-Tenant: a:b\n\nauthorization=Basic x==\n").unwrap();
        assert_eq!(headers["x-tenant"], "a:b");
        assert_eq!(headers["authorization"], "Basic x==");
        for wrong in ["hush", "na me: hush", "a: hush\u{7}"] {
            let problem = lines(wrong).unwrap_err();
            assert!(problem.contains("line 1") && !problem.contains("hush"), "{problem}");
        }
        assert!(bearer("  \n").is_err());
        assert_eq!(bearer("tok\n").unwrap()["authorization"], "Bearer tok");
    }
}
