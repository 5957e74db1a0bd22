//! OAuth 2.0 token source: tokens by the client credentials grant (RFC 6749, section 4.4).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use http::HeaderValue;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use reqwest::Url;
use tokio::sync::Mutex;

use super::assertion;
use super::secret::secret;
use crate::clock::{self, Tick};
use crate::export::settings::{
    ClientAuthentication, EndpointSettings, Http2, OAuth2Settings, Protocol,
};
use crate::export::transport::causes::causes;
use crate::export::transport::connections::{ClientHandle, EndpointConnections};
use crate::export::transport::tls::ClientProblem;
use crate::runtime::heavy;
use crate::stats::Log;

/// The life of a token whose answer does not say.
const UNSAID: Duration = Duration::from_secs(300);
/// After a failure the next try waits for this long.
const PAUSE: Duration = Duration::from_secs(1);
/// RFC 7523, section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The longest answer that is read.
const MAX_ANSWER: usize = 256 * 1024;

#[derive(Default)]
struct State {
    /// A token with the times at which it is to be renewed and at which it ends.
    token: Option<(HeaderValue, Tick, Tick)>,
    /// The last failure, and until when it stands.
    failure: Option<(String, Tick)>,
}

/// Fetches tokens, one at a time, and keeps them until shortly before they end.
pub(super) struct TokenFetcher {
    connections: EndpointConnections,
    url: Url,
    given: OAuth2Settings,
    /// Id and secret, where they go into a header.
    authorization: Option<HeaderValue>,
    state: Mutex<State>,
}

#[derive(serde::Deserialize)]
struct Answer {
    access_token: String,
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
}

/// `application/x-www-form-urlencoded`.
fn form(pairs: &[(&str, &str)]) -> String {
    let Ok(mut url) = Url::parse("http://form") else { return String::new() };
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

fn encoded(text: &str) -> String {
    form(&[("", text)]).trim_start_matches('=').to_owned()
}

impl TokenFetcher {
    pub(super) fn new(
        endpoint: &EndpointSettings,
        log: &Arc<Log>,
    ) -> Result<Option<Self>, ClientProblem> {
        let Some(given) = &endpoint.credentials.oauth2 else { return Ok(None) };
        let problem =
            |option, message: &str| ClientProblem::new(&endpoint.name, option, message.to_owned());
        let url = Url::parse(&given.token_url.to_string())
            .map_err(|error| problem("oauth2.token_url", &error.to_string()))?;
        // The same certificates and proxy as the endpoint's.
        let mut settings = EndpointSettings {
            url: given.token_url.clone(),
            address: None,
            protocol: Protocol::HttpProtobuf,
            http2: Http2::Auto,
            timeout: given.timeout.unwrap_or(endpoint.timeout),
            ..endpoint.clone()
        };
        if given.connect_timeout.is_some() {
            settings.net.connect_timeout = given.connect_timeout;
        }
        let mut authorization = None;
        match &given.authentication {
            ClientAuthentication::Basic => {
                // RFC 6749, section 2.3.1: both are form-encoded first.
                let pair =
                    format!("{}:{}", encoded(&given.client_id), encoded(&given.client_secret));
                let basic = base64::engine::general_purpose::STANDARD.encode(pair);
                let value = secret(&format!("Basic {basic}"));
                authorization = Some(value.ok_or_else(|| {
                    problem("oauth2.client_secret", "it cannot be sent in a header")
                })?);
            }
            ClientAuthentication::Post => {}
            // Wrong files are reported at the start.
            ClientAuthentication::PrivateKeyJwt(jwt) => {
                assertion::make(given, jwt, 0)
                    .map_err(|(option, message)| problem(option, &message))?;
            }
        }
        Ok(Some(Self {
            connections: EndpointConnections::new(&settings, log)?,
            url,
            given: given.clone(),
            authorization,
            state: Mutex::new(State::default()),
        }))
    }

    /// The body of a request for a token, by the sections that [`ClientAuthentication`] names.
    fn form(&self) -> Result<String, String> {
        let given = &self.given;
        let mut pairs = vec![("grant_type", "client_credentials")];
        let scopes = given.scopes.join(" ");
        if !scopes.is_empty() {
            pairs.push(("scope", &scopes));
        }
        pairs.extend(given.audience.as_deref().map(|audience| ("audience", audience)));
        pairs.extend(given.resource.as_deref().map(|resource| ("resource", resource)));
        let made;
        match &given.authentication {
            ClientAuthentication::Basic => {}
            ClientAuthentication::Post => {
                pairs.push(("client_id", &given.client_id));
                pairs.push(("client_secret", &given.client_secret));
            }
            ClientAuthentication::PrivateKeyJwt(jwt) => {
                let now = clock::unix_nanos() / 1_000_000_000;
                made = assertion::make(given, jwt, now).map_err(|(option, message)| {
                    format!("no token: option '{option}': {message}")
                })?;
                pairs.push(("client_id", &given.client_id));
                pairs.push(("client_assertion_type", ASSERTION_TYPE));
                pairs.push(("client_assertion", &made));
            }
        }
        Ok(form(&pairs))
    }

    /// How long after it was fetched a token is renewed that lives for `life`.
    fn renewal(&self, life: Duration) -> Duration {
        match self.given.refresh_skew {
            // A token that is shorter than that is renewed as any other.
            Some(skew) if skew < life => life.saturating_sub(skew),
            _ => life.mul_f64(0.8),
        }
    }

    /// The header of now. Others wait while one fetches.
    pub(super) async fn current(&self) -> Result<HeaderValue, String> {
        let mut state = self.state.lock().await;
        let now = clock::now();
        let valid = state.token.clone().filter(|(_, _, ends)| *ends > now);
        if let Some((token, _, _)) = valid.as_ref().filter(|(_, renew, _)| *renew > now) {
            return Ok(token.clone());
        }
        let standing = state.failure.clone().filter(|(_, until)| *until > now);
        let failure = match standing {
            Some((failure, _)) => failure,
            None => match self.fetch().await {
                Ok((token, life)) => {
                    let now = clock::now();
                    let renew = now.after(self.renewal(life));
                    *state = State {
                        token: Some((token.clone(), renew, now.after(life))),
                        failure: None,
                    };
                    return Ok(token);
                }
                Err(failure) => {
                    state.failure = Some((failure.clone(), clock::now().after(PAUSE)));
                    failure
                }
            },
        };
        // The token at hand lasts a little longer.
        valid.map(|(token, ..)| token).ok_or(failure)
    }

    /// The endpoint does not take the token at hand.
    pub(super) async fn forget(&self) {
        self.state.lock().await.token = None;
    }

    async fn fetch(&self) -> Result<(HeaderValue, Duration), String> {
        let ClientHandle { http, generation } = self.connections.current();
        let mut request = http
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(heavy(usize::MAX, || self.form())?);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(name) = &self.given.user_agent {
            request = request.header(USER_AGENT, name.clone());
        }
        let failed = |error: reqwest::Error| {
            if error.is_timeout() {
                self.connections.fell_silent(generation);
            }
            format!("no token: {}", causes(&error.without_url()))
        };
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            body.extend_from_slice(&piece);
            if body.len() > MAX_ANSWER {
                return Err("no token: the answer is longer than 256 KiB".to_owned());
            }
        }
        // An answer may hold a token even where it is no success, so its text is not shown.
        if !(200..300).contains(&status) {
            return Err(format!("no token: HTTP status {status}"));
        }
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|_| "no token: the answer has no 'access_token'".to_owned())?;
        let life = answer.expires_in.and_then(|value| match value {
            serde_json::Value::String(text) => text.parse().ok(),
            other => other.as_f64(),
        });
        let life = life.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let token = secret(&format!("Bearer {}", answer.access_token))
            .ok_or_else(|| "no token: it cannot be sent in a header".to_owned())?;
        Ok((token, life.unwrap_or(UNSAID)))
    }
}
