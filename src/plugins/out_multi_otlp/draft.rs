//! Builder: an endpoint while its options are read.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Uri};

use super::aws::AwsDraft;
use super::deduplication::DeduplicationDraft;
use super::given::{WrongOption, option};
use super::oauth2::OAuth2Draft;
use super::temporality::TemporalityDraft;
use crate::config::Parser;
use crate::digest::Digest;
use crate::export::{
    AttributeKey, AttributeRules, ContentHandling, DeadLetterTarget, EndpointSettings,
    HeaderSource, Protocol,
};
use crate::model::Signal;

/// The size of a file of dead letters, unless configured.
const LETTERS_SIZE: u64 = 100_000_000;

/// What is read of an endpoint so far: its settings, and what means something only together with
/// other options. Holds secrets.
pub(super) struct EndpointDraft {
    pub(super) endpoint: EndpointSettings,
    pub(super) url: Option<Uri>,
    pub(super) protocol: Option<Protocol>,
    pub(super) grpc: Option<bool>,
    pub(super) http_user: Option<String>,
    pub(super) http_passwd: Option<String>,
    pub(super) bearer_token: Option<String>,
    pub(super) oauth2: OAuth2Draft,
    pub(super) aws: AwsDraft,
    pub(super) rules: AttributeRules,
    pub(super) hash_key: Option<String>,
    pub(super) deduplication: DeduplicationDraft,
    pub(super) temporality: TemporalityDraft,
    pub(super) dead_letter: Option<String>,
    pub(super) letter_file: Option<PathBuf>,
    pub(super) letter_file_size: Option<u64>,
}

impl EndpointDraft {
    pub(super) fn new(name: &str) -> Self {
        Self {
            endpoint: EndpointSettings::new(name, Uri::from_static("http://0.0.0.0")),
            url: None,
            protocol: None,
            grpc: None,
            http_user: None,
            http_passwd: None,
            bearer_token: None,
            oauth2: OAuth2Draft::default(),
            aws: AwsDraft::default(),
            rules: AttributeRules::default(),
            hash_key: None,
            deduplication: DeduplicationDraft::default(),
            temporality: TemporalityDraft::default(),
            dead_letter: None,
            letter_file: None,
            letter_file_size: None,
        }
    }

    /// The endpoint, once all its options are read. What does not fit together goes to the parser.
    pub(super) fn finish(mut self, parser: &mut Parser<'_>, family: &str) -> EndpointSettings {
        if let Some(url) = self.url.take() {
            self.endpoint.url = url;
        }
        let name = self.endpoint.name.clone();
        let steps = [
            Self::finish_protocol,
            Self::check_paths,
            Self::finish_authorization,
            Self::finish_oauth2,
            Self::finish_aws,
            Self::finish_attributes,
            Self::finish_letters,
            Self::check_proxy,
            Self::check_tls,
            Self::check_content,
            Self::check_dialect,
            Self::finish_deduplication,
            Self::finish_temporality,
        ];
        for step in steps {
            if let Err((key, problem)) = step(&mut self) {
                parser.problem(format!("option '{}': {problem}", option(family, &name, key)));
            }
        }
        for problem in headers_without_source(&self.endpoint) {
            let option = option(family, &name, "header_from");
            parser.problem(format!("option '{option}': {problem}"));
        }
        if self.ways_to_authorize() > 1 {
            parser.problem(format!(
                "{family} '{name}' is given several authorizations; give one of an authorization \
                 header, http_user, bearer_token, bearer_token_file, oauth2.* and \
                 aws_auth"
            ));
        }
        self.endpoint
    }

    fn finish_protocol(&mut self) -> Result<(), WrongOption> {
        self.endpoint.protocol = match (self.protocol, self.grpc) {
            (Some(Protocol::Grpc) | None, Some(true)) => Protocol::Grpc,
            (Some(Protocol::Grpc), Some(false)) | (Some(_), Some(true)) => {
                return Err(("grpc", "it says something else than 'protocol'".to_owned()));
            }
            (Some(protocol), _) => protocol,
            (None, _) => Protocol::HttpProtobuf,
        };
        Ok(())
    }

    /// Paths are of one transport, so that none stands there without effect.
    fn check_paths(&mut self) -> Result<(), WrongOption> {
        let is_grpc = self.endpoint.protocol == Protocol::Grpc;
        let (paths, names) = if is_grpc {
            (&self.endpoint.paths, ["traces_uri", "metrics_uri", "logs_uri", "profiles_uri"])
        } else {
            let names =
                ["grpc_traces_uri", "grpc_metrics_uri", "grpc_logs_uri", "grpc_profiles_uri"];
            (&self.endpoint.grpc_paths, names)
        };
        let mut named = Signal::WITH_PROFILES.into_iter().zip(names);
        let is_given = |signal: Signal| paths.iter().any(|(known, _)| *known == signal);
        let Some((_, name)) = named.find(|(signal, _)| is_given(*signal)) else { return Ok(()) };
        let reason = if is_grpc {
            "it is for HTTP; with gRPC write 'grpc_...'"
        } else {
            "it needs 'protocol: grpc'"
        };
        Err((name, reason.to_owned()))
    }

    fn ways_to_authorize(&self) -> usize {
        let credentials = &self.endpoint.credentials;
        let headers = self.endpoint.headers.iter().filter(|(name, _)| *name == AUTHORIZATION);
        headers.count()
            + usize::from(credentials.bearer_token_file.is_some())
            + usize::from(credentials.oauth2.is_some())
            + usize::from(credentials.aws.is_some())
    }

    fn finish_authorization(&mut self) -> Result<(), WrongOption> {
        let text = match (&self.http_user, &self.http_passwd, &self.bearer_token) {
            (Some(_), _, Some(_)) => {
                return Err(("bearer_token", "it is given beside http_user".to_owned()));
            }
            (Some(user), password, None) => {
                let pair = format!("{user}:{}", password.as_deref().unwrap_or_default());
                format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
            }
            (None, Some(_), _) => return Err(("http_passwd", "it needs http_user".to_owned())),
            (None, None, Some(token)) => format!("Bearer {token}"),
            (None, None, None) => return Ok(()),
        };
        let value = HeaderValue::from_str(&text).map_err(|_| {
            ("bearer_token", "it has characters that no header can have".to_owned())
        })?;
        self.endpoint.headers.push((AUTHORIZATION, value));
        Ok(())
    }

    fn check_content(&mut self) -> Result<(), WrongOption> {
        let is_for_nothing = self.endpoint.content_unlisted.is_some()
            && self.endpoint.content == ContentHandling::Keep;
        if is_for_nothing {
            return Err(("content_unlisted", "it needs a 'content' other than keep".to_owned()));
        }
        Ok(())
    }

    fn check_dialect(&mut self) -> Result<(), WrongOption> {
        if self.endpoint.maps_server_metrics && !self.endpoint.signals.contains(&Signal::Metrics) {
            let problem = "it is for metrics, and 'signals' has no metrics";
            return Err(("server_metrics", problem.to_owned()));
        }
        if self.endpoint.max_attribute_values.is_some()
            && !self.endpoint.signals.contains(&Signal::Metrics)
        {
            let problem = "it is for metrics, and 'signals' has no metrics";
            return Err(("max_attribute_values", problem.to_owned()));
        }
        if self.endpoint.dialect.is_some() && !self.endpoint.signals.contains(&Signal::Traces) {
            return Err(("dialect", "it is for spans, and 'signals' has no traces".to_owned()));
        }
        Ok(())
    }

    fn finish_temporality(&mut self) -> Result<(), WrongOption> {
        let draft = std::mem::take(&mut self.temporality);
        self.endpoint.temporality = draft.finish(&self.endpoint.signals)?;
        Ok(())
    }

    fn finish_deduplication(&mut self) -> Result<(), WrongOption> {
        let settings = std::mem::take(&mut self.deduplication).finish()?;
        let signals = &self.endpoint.signals;
        if settings.is_some()
            && !signals.contains(&Signal::Traces)
            && !signals.contains(&Signal::Logs)
        {
            let reason = "it is for spans and logs, and 'signals' has neither";
            return Err(("deduplicate_content", reason.to_owned()));
        }
        self.endpoint.deduplication = settings;
        Ok(())
    }

    fn finish_oauth2(&mut self) -> Result<(), WrongOption> {
        self.endpoint.credentials.oauth2 = std::mem::take(&mut self.oauth2).finish()?;
        Ok(())
    }

    fn finish_aws(&mut self) -> Result<(), WrongOption> {
        let draft = std::mem::take(&mut self.aws);
        let EndpointSettings { url, protocol, .. } = &self.endpoint;
        self.endpoint.credentials.aws =
            draft.finish(url, *protocol, &|name| std::env::var(name).ok())?;
        Ok(())
    }

    fn finish_attributes(&mut self) -> Result<(), WrongOption> {
        if let Some(key) = &self.hash_key {
            if self.rules.hash.is_empty() {
                return Err(("attributes.hash_key", "it needs attributes.hash".to_owned()));
            }
            self.rules.digest = Digest::keyed(key.as_bytes());
        }
        let rules = std::mem::take(&mut self.rules);
        self.endpoint.attributes = (!rules.is_empty()).then(|| Arc::new(rules));
        Ok(())
    }

    fn finish_letters(&mut self) -> Result<(), WrongOption> {
        let Some(file) = self.letter_file.take() else {
            return match self.letter_file_size {
                Some(_) => Err(("dead_letter_file_size", "it needs dead_letter_file".to_owned())),
                None => Ok(()),
            };
        };
        if self.dead_letter.is_some() {
            return Err(("dead_letter_file", "it is given beside dead_letter".to_owned()));
        }
        let size = self.letter_file_size.unwrap_or(LETTERS_SIZE);
        self.endpoint.dead_letter = Some(DeadLetterTarget::File(file, size));
        Ok(())
    }

    fn check_tls(&mut self) -> Result<(), WrongOption> {
        let (oldest, newest) = self.endpoint.tls.versions;
        if oldest > newest {
            let reason = "it is newer than 'tls.max_version', so that no version is left";
            return Err(("tls.min_version", reason.to_owned()));
        }
        if self.endpoint.tls.key_passwd.is_some() && self.endpoint.tls.key_file.is_none() {
            return Err(("tls.key_passwd", "it needs tls.key_file".to_owned()));
        }
        Ok(())
    }

    fn check_proxy(&mut self) -> Result<(), WrongOption> {
        let key = match (self.endpoint.proxy.is_some(), self.endpoint.proxy_from_environment) {
            (true, true) => {
                let reason = "it is given beside 'proxy', which says it";
                return Err(("proxy_from_environment", reason.to_owned()));
            }
            (true, false) => "proxy",
            (false, true) => "proxy_from_environment",
            (false, false) => return Ok(()),
        };
        let secure = self.endpoint.url.scheme_str() == Some("https");
        if self.endpoint.protocol == Protocol::Grpc && !secure {
            return Err((key, "gRPC goes through a proxy only with https".to_owned()));
        }
        Ok(())
    }
}

/// Headers whose attribute is gone when they are read: the rules for attributes come first.
fn headers_without_source(endpoint: &EndpointSettings) -> Vec<String> {
    let Some(rules) = endpoint.attributes.as_deref() else { return Vec::new() };
    let gone = |source: &HeaderSource| {
        let (of_resource, key) = match source {
            HeaderSource::Resource(key) => (true, key),
            HeaderSource::Item(key) => (false, key),
            HeaderSource::Scope(_) => return None,
        };
        let is = |rule: &AttributeKey| rule.is(of_resource, key.as_bytes());
        let renamed = || rules.rename.iter().any(|(old, _)| is(old));
        let stays = rules.add.iter().any(|(added, _)| is(added));
        let rule = if rules.drop.iter().any(is) { "attributes.drop" } else { "attributes.rename" };
        let is_gone = !stays && (rule == "attributes.drop" || renamed());
        is_gone.then(|| format!("'{key}' is not there any more after '{rule}', which comes first"))
    };
    endpoint.header_from.iter().filter_map(|header| gone(&header.source)).collect()
}
