//! Token validation: JSON Web Tokens (RFC 7519, by the advice of RFC 8725).

use crate::sync::{Mutex, RwLock};
mod fetch;
mod keys;
mod ring_provider;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};

use super::caller::Caller;
use super::credentials::{CredentialTable, is_tenant};
use super::denial::Denial;
use super::settings::{JwtSettings, KeySource};
use crate::files::{self, FileContents};
use crate::stats::{Counter, CounterFamily, Counters, Log, LogLevel};
use fetch::KeyServer;
use keys::KeySet;

/// Algorithms by which public keys can sign and ring can check.
const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

const READS: CounterFamily = CounterFamily::counter(
    "jwks_reads_total",
    "Key sets that were fetched or read again.",
    &["result"],
);

/// Why a token is not accepted.
pub(super) enum TokenFault {
    /// The sender is to blame.
    Denied(Denial),
    /// There is no key set yet, so that nothing can be said.
    NoKeys,
}

impl From<Denial> for TokenFault {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

/// Checks tokens.
#[derive(Debug)]
pub(super) struct TokenValidator {
    settings: JwtSettings,
    validations: Vec<(Algorithm, Validation)>,
    keys: RwLock<Option<Arc<KeySet>>>,
    source: Source,
    taken: Counter,
    wrong: Counter,
    log: Arc<Log>,
}

#[derive(Debug)]
enum Source {
    File(Mutex<FileContents>),
    Server(KeyServer),
}

impl TokenValidator {
    /// Reads the key set of a file; that of a server is fetched by [`TokenValidator::refresh`].
    ///
    /// # Errors
    /// Every problem, each one line.
    pub(super) fn new(
        settings: &JwtSettings,
        counters: &Counters,
        log: Arc<Log>,
    ) -> Result<Self, Vec<String>> {
        ring_provider::install();
        let mut problems = Vec::new();
        let validations = validations(settings).map_err(|more| problems.extend(more)).ok();
        let opened = match &settings.keys {
            KeySource::File(path) => {
                let files = FileContents::new([path.clone()]);
                read(settings).map(|set| (Source::File(Mutex::new(files)), Some(Arc::new(set))))
            }
            KeySource::Url { url, ca_file, refresh } => {
                KeyServer::new(url, ca_file.as_deref(), *refresh)
                    .map(|server| (Source::Server(server), None))
            }
        };
        let opened = opened.map_err(|problem| problems.push(problem)).ok();
        let (Some(validations), Some((source, keys))) = (validations, opened) else {
            return Err(problems);
        };
        Ok(Self {
            settings: settings.clone(),
            validations,
            keys: RwLock::new(keys),
            source,
            taken: counters.counter(READS, &["taken"]),
            wrong: counters.counter(READS, &["wrong"]),
            log,
        })
    }

    fn keys(&self) -> Option<Arc<KeySet>> {
        self.keys.read().clone()
    }

    /// Takes a new key set; without one the former stays.
    fn take(&self, fresh: Result<KeySet, String>) {
        match fresh {
            Ok(set) => {
                self.taken.add(1);
                *self.keys.write() = Some(Arc::new(set));
            }
            Err(problem) => {
                self.wrong.add(1);
                self.log.often(LogLevel::Warn, "jwks", || {
                    format!("the key set for tokens {problem}; the former one stays in use")
                });
            }
        }
    }

    /// Reads a changed file again, or fetches the set if it is time to.
    pub(super) async fn refresh(&self) {
        let fresh = match &self.source {
            Source::File(files) => {
                let changed = files.lock().changed();
                changed.then(|| read(&self.settings))
            }
            Source::Server(server) => server.refresh().await,
        };
        if let Some(fresh) = fresh {
            self.take(fresh);
        }
    }

    /// Who a token belongs to.
    pub(super) async fn check(
        &self,
        token: &[u8],
        credentials: &CredentialTable,
    ) -> Result<Caller, TokenFault> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| Denial::Jwt)?;
        let validation = self.validations.iter().find(|(algorithm, _)| *algorithm == header.alg);
        let (algorithm, validation) = validation.ok_or(Denial::Algorithm)?;
        let mut keys = self.keys();
        let fits = |keys: &Option<Arc<KeySet>>| {
            keys.as_ref()
                .is_some_and(|keys| !keys.fitting(header.kid.as_deref(), *algorithm).is_empty())
        };
        if let (false, Source::Server(server)) = (fits(&keys), &self.source) {
            let is_new = || fits(&self.keys());
            if let Some(fresh) = server.look_again(is_new).await {
                self.take(fresh);
            }
            keys = self.keys();
        }
        let keys = keys.ok_or(TokenFault::NoKeys)?;
        let claims = verified(token, &keys.fitting(header.kid.as_deref(), *algorithm), validation)?;
        Ok(self.caller(&claims, credentials)?)
    }

    /// Who the claims of a valid token stand for.
    fn caller(
        &self,
        claims: &Map<String, Value>,
        credentials: &CredentialTable,
    ) -> Result<Caller, Denial> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let clients = &self.settings.clients;
        if !clients.is_empty() {
            let client = text("azp").or_else(|| text("client_id")).ok_or(Denial::Client)?;
            if !clients.iter().any(|allowed| allowed == client) {
                return Err(Denial::Client);
            }
        }
        let Some(name) = &self.settings.tenant_claim else { return Ok(Caller::default()) };
        let tenant = text(name).filter(|tenant| is_tenant(tenant));
        tenant.and_then(|tenant| credentials.by_claim(tenant)).ok_or(Denial::Tenant)
    }
}

/// The claims of a token that one of the keys signed.
fn verified(
    token: &[u8],
    keys: &[&DecodingKey],
    validation: &Validation,
) -> Result<Map<String, Value>, Denial> {
    let mut denial = Denial::Key;
    for key in keys {
        match jsonwebtoken::decode::<Map<String, Value>>(token, key, validation) {
            Ok(data) => return Ok(data.claims),
            Err(error) => match error.kind() {
                ErrorKind::InvalidSignature => denial = Denial::Signature,
                ErrorKind::ExpiredSignature => return Err(Denial::Expired),
                ErrorKind::ImmatureSignature => return Err(Denial::Early),
                ErrorKind::InvalidIssuer => return Err(Denial::Issuer),
                ErrorKind::InvalidAudience => return Err(Denial::Audience),
                ErrorKind::MissingRequiredClaim(claim) => return Err(missing(claim)),
                _ => return Err(Denial::Jwt),
            },
        }
    }
    Err(denial)
}

fn missing(claim: &str) -> Denial {
    match claim {
        "iss" => Denial::Issuer,
        "aud" => Denial::Audience,
        _ => Denial::Jwt,
    }
}

fn read(settings: &JwtSettings) -> Result<KeySet, String> {
    let KeySource::File(path) = &settings.keys else {
        return Err("option 'jwt_jwks_file': there is no file".to_owned());
    };
    let set = files::read_credentials(path).and_then(|text| {
        KeySet::parse(&text).map_err(|problem| format!("'{}' {problem}", path.display()))
    });
    set.map_err(|message| format!("option 'jwt_jwks_file': {message}"))
}

/// What is asked of the claims, for each allowed algorithm.
fn validations(settings: &JwtSettings) -> Result<Vec<(Algorithm, Validation)>, Vec<String>> {
    let mut problems = Vec::new();
    let mut all = Vec::new();
    for name in &settings.algorithms {
        let known = ALGORITHMS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let Some((_, algorithm)) = known else {
            let allowed = ALGORITHMS.map(|(name, _)| name).join(", ");
            problems.push(format!(
                "option 'jwt_algorithms': '{name}' is not allowed; allowed: {allowed}"
            ));
            continue;
        };
        let mut validation = Validation::new(*algorithm);
        let mut required = vec!["exp", "iss"];
        validation.set_issuer(&[&settings.issuer]);
        validation.validate_nbf = true;
        validation.leeway = settings.leeway.as_secs();
        validation.validate_aud = !settings.audiences.is_empty();
        if validation.validate_aud {
            validation.set_audience(&settings.audiences);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        all.push((*algorithm, validation));
    }
    if all.is_empty() && problems.is_empty() {
        problems.push("option 'jwt_algorithms': there is none".to_owned());
    }
    if problems.is_empty() { Ok(all) } else { Err(problems) }
}
