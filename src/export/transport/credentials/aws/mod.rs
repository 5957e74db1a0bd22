//! AWS request signer: requests to AWS's own OTLP endpoints, signed by AWS Signature Version 4.

use crate::sync::Mutex as SyncMutex;
mod context;
mod sign;
mod sources;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use reqsign_aws_core::Credential;
use reqsign_core::time::Timestamp;
use reqsign_core::{Context, ProvideCredentialDyn, SigningCredential};
use tokio::sync::Mutex;

use crate::clock::{self, Tick};
use crate::export::settings::{AwsSettings, EndpointSettings};
use crate::export::transport::reply::printable;
use crate::export::transport::tls::ClientProblem;
use crate::stats::Log;
use sign::{SigningScope, UnsignedRequest, signature};
use sources::CredentialChain;

/// How long credentials are used that do not say when they end, before their source is asked again:
/// files are written anew when keys are rotated.
const UNSAID: Duration = Duration::from_secs(300);
/// After a failure the sources are asked again after this time.
const PAUSE: Duration = Duration::from_secs(1);
/// Temporary credentials that an endpoint refuses are fetched anew if they are older than this;
/// younger ones were refused for another reason.
const FRESH: Duration = Duration::from_secs(30);

#[derive(Default)]
struct State {
    credential: Option<(Credential, Tick)>,
    /// The last failure, and until when it stands.
    failure: Option<(String, Tick)>,
}

/// Signs the requests of one endpoint.
pub(in crate::export) struct AwsSigner {
    scope: SigningScope,
    source: Box<dyn ProvideCredentialDyn<Credential = Credential>>,
    /// What the sources said, where the role that they are for hides it.
    behind: Option<Arc<SyncMutex<String>>>,
    context: Context,
    state: Mutex<State>,
}

impl AwsSigner {
    /// The signer that an endpoint's settings ask for. Nothing is asked before the first request.
    pub(super) fn new(
        endpoint: &EndpointSettings,
        log: &Arc<Log>,
    ) -> Result<Option<Self>, ClientProblem> {
        let Some(settings) = &endpoint.credentials.aws else { return Ok(None) };
        let context = context::context(endpoint, settings.sts_endpoint.as_ref(), log)?;
        Ok(Some(Self::with(settings, context)))
    }

    fn with(settings: &AwsSettings, context: Context) -> Self {
        let scope =
            SigningScope { service: settings.service.clone(), region: settings.region.clone() };
        let chain = CredentialChain::new(settings, &settings.region);
        let (source, behind): (Box<dyn ProvideCredentialDyn<Credential = _>>, _) =
            match &settings.role_arn {
                Some(arn) => {
                    let behind = chain.failure();
                    let role = sources::role(settings, arn, &settings.region, chain, &context);
                    (Box::new(role), Some(behind))
                }
                None => (Box::new(chain), None),
            };
        Self { scope, source, behind, context, state: Mutex::default() }
    }

    /// The headers that sign a POST of this body to this URL with these headers.
    ///
    /// # Errors
    /// Why there are no credentials, or what cannot be signed, without any secret.
    pub(in crate::export) async fn sign(
        &self,
        url: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<HeaderMap, String> {
        let credential = self.current().await?;
        let request = UnsignedRequest { method: &Method::POST, url, headers, body };
        signature(&request, &credential, &self.scope, clock::unix_nanos())
            .map_err(|message| format!("the request cannot be signed: {message}"))
    }

    /// The endpoint refuses what it was signed with. Whether there are other credentials now.
    pub(super) async fn renew(&self) -> bool {
        let mut state = self.state.lock().await;
        let now = clock::now();
        let Some((held, since)) = state.credential.clone() else { return false };
        let fresh = if held.expires_in.is_some() { FRESH } else { PAUSE };
        if now.since(since) < fresh {
            return false;
        }
        let Ok(credential) = self.fetch().await else { return false };
        let other = credential.access_key_id != held.access_key_id
            || credential.secret_access_key != held.secret_access_key
            || credential.session_token != held.session_token;
        state.credential = Some((credential, clock::now()));
        other
    }

    /// The credentials of now. Others wait while one fetches.
    async fn current(&self) -> Result<Credential, String> {
        let mut state = self.state.lock().await;
        let now = clock::now();
        let held = state.credential.clone();
        if let Some((credential, since)) = &held
            && credential.is_valid()
            && (credential.expires_in.is_some() || now.since(*since) < UNSAID)
        {
            return Ok(credential.clone());
        }
        let standing = state.failure.clone().filter(|(_, until)| *until > now);
        let failure = match standing {
            Some((failure, _)) => failure,
            None => match self.fetch().await {
                Ok(credential) => {
                    let since = clock::now();
                    *state = State { credential: Some((credential.clone(), since)), failure: None };
                    return Ok(credential);
                }
                Err(failure) => {
                    state.failure = Some((failure.clone(), clock::now().after(PAUSE)));
                    failure
                }
            },
        };
        // The credentials at hand last a little longer.
        let valid = |credential: &Credential| credential.is_valid_at(Timestamp::now());
        held.map(|(credential, _)| credential).filter(valid).ok_or(failure)
    }

    async fn fetch(&self) -> Result<Credential, String> {
        let failure = match self.source.provide_credential_dyn(&self.context).await {
            Ok(Some(credential)) => return Ok(credential),
            Ok(None) => "there are none".to_owned(),
            Err(error) => error.to_string(),
        };
        let behind = self.behind.as_ref().map(|behind| {
            let behind = behind.lock();
            if behind.is_empty() { String::new() } else { format!("; {behind}") }
        });
        Err(format!("no AWS credentials: {}", printable(&(failure + &behind.unwrap_or_default()))))
    }
}
