//! Credential store: every static credential, and the tenant that it belongs to.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::caller::Caller;
use super::secret::SecretDigest;
use super::settings::SecuritySettings;
use super::tenants::{self, Tenant};
use crate::files;

/// The longest name of a tenant, in bytes.
const MAX_TENANT_LENGTH: usize = 128;

/// The credentials as they are until a file changes.
#[derive(Debug, Default)]
pub(super) struct CredentialTable {
    tokens: Vec<(SecretDigest, Caller)>,
    /// Digests of `user:password`.
    users: Vec<(SecretDigest, Caller)>,
    /// DNS names of certificates, in lower case.
    names: HashMap<String, Caller>,
    fingerprints: Vec<(SecretDigest, Caller)>,
    /// Values of the claim that names the tenant.
    claims: HashMap<String, Caller>,
    has_tenants: bool,
}

impl CredentialTable {
    /// The files that [`CredentialTable::read`] reads.
    pub(super) fn files(settings: &SecuritySettings) -> Vec<PathBuf> {
        [&settings.bearer_token_file, &settings.tenants_file]
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    /// Reads every credential.
    ///
    /// # Errors
    /// Every problem, each one line without a secret in it.
    pub(super) fn read(settings: &SecuritySettings) -> Result<Self, Vec<String>> {
        let mut all = Self::default();
        let mut problems = Vec::new();
        for token in &settings.bearer_tokens {
            all.tokens.push((SecretDigest::of(token.reveal().as_bytes()), Caller::default()));
        }
        if let Some((user, password)) = &settings.basic {
            all.add_user(user, password.reveal(), &Caller::default());
        }
        if let Some(path) = &settings.bearer_token_file {
            match files::read_credentials_text(path) {
                Ok(text) => {
                    if all.add_token_lines(&text) == 0 {
                        let shown = path.display();
                        problems
                            .push(format!("option 'bearer_token_file': '{shown}' has no token"));
                    }
                }
                Err(message) => problems.push(format!("option 'bearer_token_file': {message}")),
            }
        }
        if let Some(path) = &settings.tenants_file {
            let shown = path.display();
            let file = files::read_credentials_text(path)
                .and_then(|text| tenants::parse(&text).map_err(|why| format!("'{shown}' {why}")));
            match file {
                Ok(file) => {
                    all.has_tenants = true;
                    for (name, tenant) in &file.tenants {
                        let wrong = all.add_tenant(name, tenant).into_iter();
                        problems.extend(wrong.map(|message| {
                            format!("option 'tenants_file': '{shown}': tenant '{name}': {message}")
                        }));
                    }
                }
                Err(message) => problems.push(format!("option 'tenants_file': {message}")),
            }
        }
        if problems.is_empty() { Ok(all) } else { Err(problems) }
    }

    fn add_token_lines(&mut self, text: &str) -> usize {
        let before = self.tokens.len();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        for line in lines.filter(|line| !line.starts_with('#')) {
            self.tokens.push((SecretDigest::of(line.as_bytes()), Caller::default()));
        }
        self.tokens.len().saturating_sub(before)
    }

    fn add_user(&mut self, user: &str, password: &str, caller: &Caller) {
        self.users
            .push((SecretDigest::of(format!("{user}:{password}").as_bytes()), caller.clone()));
    }

    /// Adds what identifies a tenant; what was wrong.
    fn add_tenant(&mut self, name: &str, tenant: &Tenant) -> Vec<&'static str> {
        let mut wrong = Vec::new();
        if !is_tenant(name) {
            wrong.push("the name is empty, longer than 128 bytes, or has control characters");
        }
        let caller = Caller { tenant: Some(Arc::from(name)) };
        let mut tokens = Vec::new();
        for token in &tenant.bearer_tokens {
            if token.trim().is_empty() {
                wrong.push("a token in bearer_tokens is empty");
            }
            tokens.push(SecretDigest::of(token.trim().as_bytes()));
        }
        for text in &tenant.bearer_tokens_sha256 {
            match SecretDigest::from_hex(text) {
                Some(digest) => tokens.push(digest),
                None => wrong.push("bearer_tokens_sha256 takes 64 hexadecimal digits each"),
            }
        }
        for digest in tokens {
            if find(&self.tokens, &digest).is_some() {
                wrong.push("a token belongs to another client as well, or is there twice");
            }
            self.tokens.push((digest, caller.clone()));
        }
        for (user, password) in &tenant.users {
            if user.is_empty() || user.contains(':') {
                wrong.push("a name in users is empty or has a colon");
            }
            self.add_user(user, password, &caller);
        }
        for text in &tenant.certificates {
            match SecretDigest::from_hex(text) {
                Some(digest) => self.fingerprints.push((digest, caller.clone())),
                None if text.trim().is_empty() => wrong.push("a name in certificates is empty"),
                None => {
                    let name = text.trim().to_ascii_lowercase();
                    if self.names.insert(name, caller.clone()).is_some() {
                        wrong.push("a name in certificates is there twice");
                    }
                }
            }
        }
        let own = [name.to_owned()];
        let claims: &[String] =
            if tenant.jwt_claims.is_empty() { &own } else { &tenant.jwt_claims };
        for claim in claims {
            if self.claims.insert(claim.clone(), caller.clone()).is_some() {
                wrong.push("a value in jwt_claims belongs to another tenant as well");
            }
        }
        wrong
    }

    /// Whether requests without credentials of their own may come by certificate alone.
    pub(super) fn has_certificates(&self) -> bool {
        !self.names.is_empty() || !self.fingerprints.is_empty()
    }

    /// Whether any bearer token is configured, so that a refusal may ask for one.
    pub(super) fn has_tokens(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Whether any user with a password is configured, so that a refusal may ask for one.
    pub(super) fn has_users(&self) -> bool {
        !self.users.is_empty()
    }

    /// Who a bearer token belongs to.
    pub(super) fn by_token(&self, token: &[u8]) -> Option<Caller> {
        find(&self.tokens, &SecretDigest::of(token)).cloned()
    }

    /// Who `user:password` belongs to.
    pub(super) fn by_user(&self, pair: &[u8]) -> Option<Caller> {
        find(&self.users, &SecretDigest::of(pair)).cloned()
    }

    /// Who a certificate belongs to.
    pub(super) fn by_certificate(&self, peer: &Peer) -> Option<Caller> {
        let by_name = peer.names.iter().find_map(|name| self.names.get(name));
        by_name.or_else(|| find(&self.fingerprints, &peer.fingerprint)).cloned()
    }

    /// Who the claim that names the tenant stands for. Without a tenants file every value is a
    /// tenant.
    pub(super) fn by_claim(&self, value: &str) -> Option<Caller> {
        if self.has_tenants {
            self.claims.get(value).cloned()
        } else {
            Some(Caller { tenant: Some(Arc::from(value)) })
        }
    }
}

/// Whether a text can be the name of a tenant: it ends up in tags and attributes.
pub(super) fn is_tenant(name: &str) -> bool {
    !name.trim().is_empty() && name.len() <= MAX_TENANT_LENGTH && !name.contains(char::is_control)
}

/// The entry of a digest. Every entry is looked at, so that the time says nothing of where it is.
fn find<'a>(entries: &'a [(SecretDigest, Caller)], digest: &SecretDigest) -> Option<&'a Caller> {
    let mut found = None;
    for (known, caller) in entries {
        if known.is(digest) {
            found = Some(caller);
        }
    }
    found
}

/// A client that showed a certificate that we trust.
#[derive(Debug)]
pub(in crate::receive) struct Peer {
    /// The DNS names of the certificate, in lower case.
    pub(super) names: Vec<String>,
    /// The digest of the certificate.
    pub(super) fingerprint: SecretDigest,
}
