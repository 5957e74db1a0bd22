//! Options `oauth2.KEY` of an endpoint.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderValue, Uri};

use super::given::WrongOption;
use super::values::AuthMethod;
use crate::export::{AssertionSettings, ClientAuthentication, OAuth2Settings};

/// The life of a client assertion, unless configured.
const JWT_TTL: Duration = Duration::from_secs(300);
/// The header of a certificate's thumbprint, unless configured.
const JWT_HEADER: &str = "kid";

/// What is read of them so far. Holds a secret.
#[derive(Default)]
pub(super) struct OAuth2Draft {
    pub(super) enable: Option<bool>,
    pub(super) token_url: Option<Uri>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<String>,
    pub(super) scopes: Vec<String>,
    pub(super) audience: Option<String>,
    pub(super) resource: Option<String>,
    pub(super) method: Option<AuthMethod>,
    pub(super) jwt_key_file: Option<PathBuf>,
    pub(super) jwt_cert_file: Option<PathBuf>,
    pub(super) jwt_aud: Option<String>,
    pub(super) jwt_header: Option<String>,
    pub(super) jwt_ttl: Option<Duration>,
    pub(super) user_agent: Option<HeaderValue>,
    pub(super) timeout: Option<Duration>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) refresh_skew: Option<Duration>,
}

impl OAuth2Draft {
    /// The settings, where any are given.
    pub(super) fn finish(mut self) -> Result<Option<OAuth2Settings>, WrongOption> {
        if self.enable == Some(false) || !self.is_given() {
            return Ok(None);
        }
        let missing =
            |key: &'static str| (key, "it is needed beside the other oauth2 keys".to_owned());
        let token_url = self.token_url.take().ok_or_else(|| missing("oauth2.token_url"))?;
        let client_id = self.client_id.take().ok_or_else(|| missing("oauth2.client_id"))?;
        let authentication = self.authentication()?;
        let by_secret = !matches!(authentication, ClientAuthentication::PrivateKeyJwt(_));
        let client_secret = match self.client_secret {
            Some(secret) if by_secret => secret,
            None if !by_secret => String::new(),
            None => return Err(missing("oauth2.client_secret")),
            Some(_) => {
                let reason = "with 'oauth2.auth_method: private_key_jwt' no secret is sent";
                return Err(("oauth2.client_secret", reason.to_owned()));
            }
        };
        Ok(Some(OAuth2Settings {
            token_url,
            client_id,
            client_secret,
            authentication,
            scopes: self.scopes,
            audience: self.audience,
            resource: self.resource,
            user_agent: self.user_agent,
            timeout: self.timeout,
            connect_timeout: self.connect_timeout,
            refresh_skew: self.refresh_skew,
        }))
    }

    fn is_given(&self) -> bool {
        let texts = [&self.client_id, &self.client_secret, &self.audience, &self.resource];
        let times = [&self.timeout, &self.connect_timeout, &self.refresh_skew];
        self.enable == Some(true)
            || self.token_url.is_some()
            || texts.into_iter().any(Option::is_some)
            || times.into_iter().any(Option::is_some)
            || !self.scopes.is_empty()
            || self.method.is_some()
            || self.user_agent.is_some()
            || self.of_assertion().is_some()
    }

    /// A key that is given and means something only for assertions.
    fn of_assertion(&self) -> Option<&'static str> {
        [
            ("oauth2.jwt_key_file", self.jwt_key_file.is_some()),
            ("oauth2.jwt_cert_file", self.jwt_cert_file.is_some()),
            ("oauth2.jwt_aud", self.jwt_aud.is_some()),
            ("oauth2.jwt_header", self.jwt_header.is_some()),
            ("oauth2.jwt_ttl_seconds", self.jwt_ttl.is_some()),
        ]
        .into_iter()
        .find_map(|(key, is_given)| is_given.then_some(key))
    }

    fn authentication(&mut self) -> Result<ClientAuthentication, WrongOption> {
        let method = self.method.unwrap_or(AuthMethod::Basic);
        let (key_file, header) = match (method, self.of_assertion()) {
            (AuthMethod::Basic, None) => return Ok(ClientAuthentication::Basic),
            (AuthMethod::Post, None) => return Ok(ClientAuthentication::Post),
            (AuthMethod::Basic | AuthMethod::Post, Some(key)) => {
                return Err((key, "it needs 'oauth2.auth_method: private_key_jwt'".to_owned()));
            }
            (AuthMethod::PrivateKeyJwt, _) => (self.jwt_key_file.take(), self.jwt_header.take()),
        };
        let key_file = key_file.ok_or_else(|| {
            let reason = "it is needed for 'oauth2.auth_method: private_key_jwt'";
            ("oauth2.jwt_key_file", reason.to_owned())
        })?;
        if header.is_some() && self.jwt_cert_file.is_none() {
            let reason = "it needs oauth2.jwt_cert_file, whose thumbprint it holds";
            return Err(("oauth2.jwt_header", reason.to_owned()));
        }
        Ok(ClientAuthentication::PrivateKeyJwt(AssertionSettings {
            key_file,
            certificate_file: self.jwt_cert_file.take(),
            audience: self.jwt_aud.take(),
            header: header.unwrap_or_else(|| JWT_HEADER.to_owned()),
            lifetime: self.jwt_ttl.unwrap_or(JWT_TTL),
        }))
    }
}
