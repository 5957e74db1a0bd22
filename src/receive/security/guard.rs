//! Authentication guard: the check of each request's credentials, before its body is read.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap};

use super::caller::Caller;
use super::credentials::{CredentialTable, Peer};
use super::denial::Denial;
use super::jwt::{TokenFault, TokenValidator};
use super::settings::SecuritySettings;
use crate::files::FileContents;
use crate::receive::refusal::Refusal;
use crate::stats::{Counter, CounterFamily, Counters, Log};
use crate::sync::{Mutex, RwLock};

const DENIED: CounterFamily = CounterFamily::counter(
    "denied_requests_total",
    "Requests whose credentials were missing or not accepted.",
    &["reason"],
);

/// Lets requests in by their credentials. Without any configured it lets everything in.
#[derive(Debug)]
pub(in crate::receive) struct Guard(Option<Box<Door>>);

#[derive(Debug)]
struct Door {
    settings: SecuritySettings,
    credentials: RwLock<Arc<CredentialTable>>,
    files: Mutex<FileContents>,
    jwt: Option<TokenValidator>,
    denied: Vec<(Denial, Counter)>,
}

impl Guard {
    /// Reads the credentials.
    ///
    /// # Errors
    /// Every problem, each one line without a secret in it.
    pub(super) fn new(
        settings: &SecuritySettings,
        counters: &Counters,
        log: &Arc<Log>,
    ) -> Result<Self, Vec<String>> {
        let needed = !settings.bearer_tokens.is_empty()
            || settings.bearer_token_file.is_some()
            || settings.basic.is_some()
            || settings.tenants_file.is_some()
            || settings.jwt.is_some();
        if !needed {
            return Ok(Self(None));
        }
        let files = Mutex::new(FileContents::new(CredentialTable::files(settings)));
        let mut problems = Vec::new();
        let credentials =
            CredentialTable::read(settings).map_err(|more| problems.extend(more)).ok();
        let jwt =
            settings.jwt.as_ref().map(|jwt| TokenValidator::new(jwt, counters, Arc::clone(log)));
        let jwt = jwt.transpose().map_err(|more| problems.extend(more)).ok();
        let (Some(credentials), Some(jwt)) = (credentials, jwt) else { return Err(problems) };
        let credentials = RwLock::new(Arc::new(credentials));
        let denied = Denial::ALL
            .map(|denial| (denial, counters.counter(DENIED, &[denial.reason()])))
            .to_vec();
        let settings = settings.clone();
        Ok(Self(Some(Box::new(Door { settings, credentials, files, jwt, denied }))))
    }

    /// Who sent a request with these headers. `extensions` may hold the [`Peer`] of the connection.
    ///
    /// # Errors
    /// The sender may not send.
    pub(in crate::receive) async fn check(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Caller, Refusal> {
        let Some(door) = &self.0 else { return Ok(Caller::default()) };
        let credentials = door.credentials();
        match door.identify(&credentials, headers, extensions.get::<Arc<Peer>>()).await {
            Ok(caller) => Ok(caller),
            Err(TokenFault::NoKeys) => Err(Refusal::Unchecked),
            Err(TokenFault::Denied(denial)) => {
                door.count(denial);
                Err(refusal(denial, door.challenge(&credentials)))
            }
        }
    }

    /// Reads files again that have changed; what is wrong with them. Then the former credentials
    /// stay.
    pub(super) fn reload(&self, log: &Log) -> Result<(), Vec<String>> {
        let Some(door) = &self.0 else { return Ok(()) };
        if !door.files.lock().changed() {
            return Ok(());
        }
        let fresh = Arc::new(CredentialTable::read(&door.settings)?);
        *door.credentials.write() = fresh;
        log.info("credentials were read again");
        Ok(())
    }

    /// Brings the keys for tokens up to date.
    pub(super) async fn refresh(&self) {
        if let Some(jwt) = self.0.as_ref().and_then(|door| door.jwt.as_ref()) {
            jwt.refresh().await;
        }
    }

    /// Whether there are files or keys to look at.
    pub(super) fn watches(&self) -> bool {
        self.0.as_ref().is_some_and(|door| {
            door.jwt.is_some() || !CredentialTable::files(&door.settings).is_empty()
        })
    }
}

impl Door {
    fn credentials(&self) -> Arc<CredentialTable> {
        Arc::clone(&self.credentials.read())
    }

    fn count(&self, denial: Denial) {
        if let Some((_, counter)) = self.denied.iter().find(|(known, _)| *known == denial) {
            counter.add(1);
        }
    }

    /// The header `www-authenticate`: which schemes are worth a try.
    fn challenge(&self, credentials: &CredentialTable) -> &'static str {
        match (credentials.has_tokens() || self.jwt.is_some(), credentials.has_users()) {
            (false, true) => "Basic realm=\"otlp\", charset=\"UTF-8\"",
            (true, true) => "Bearer realm=\"otlp\", Basic realm=\"otlp\", charset=\"UTF-8\"",
            _ => "Bearer realm=\"otlp\"",
        }
    }

    async fn identify(
        &self,
        credentials: &CredentialTable,
        headers: &HeaderMap,
        peer: Option<&Arc<Peer>>,
    ) -> Result<Caller, TokenFault> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return match peer.filter(|_| credentials.has_certificates()) {
                Some(peer) => Ok(credentials.by_certificate(peer).ok_or(Denial::Certificate)?),
                None => Err(Denial::NoCredentials.into()),
            };
        };
        if values.next().is_some() {
            return Err(Denial::Unreadable.into());
        }
        let (scheme, rest) = scheme(value.as_bytes()).ok_or(Denial::Unreadable)?;
        if scheme.eq_ignore_ascii_case(b"bearer") {
            match (credentials.by_token(rest), &self.jwt) {
                (Some(caller), _) => Ok(caller),
                (None, Some(jwt)) if looks_like_jwt(rest) => jwt.check(rest, credentials).await,
                (None, _) => Err(Denial::Token.into()),
            }
        } else if scheme.eq_ignore_ascii_case(b"basic") && credentials.has_users() {
            let pair = STANDARD.decode(rest).map_err(|_| Denial::Unreadable)?;
            Ok(credentials.by_user(&pair).ok_or(Denial::Password)?)
        } else {
            Err(Denial::Scheme.into())
        }
    }
}

/// The scheme of an `authorization` header and what follows.
fn scheme(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let value = value.trim_ascii();
    let (scheme, rest) = value.split_at_checked(memchr::memchr(b' ', value)?)?;
    Some((scheme, rest.trim_ascii()))
}

/// A JWT has three parts (RFC 7515, section 3.1).
fn looks_like_jwt(token: &[u8]) -> bool {
    memchr::memchr_iter(b'.', token).count() == 2
}

fn refusal(denial: Denial, challenge: &'static str) -> Refusal {
    if denial.is_known_sender() {
        Refusal::Forbidden(denial)
    } else {
        Refusal::Unauthenticated(denial, challenge)
    }
}
