//! Provider chain: where AWS credentials come from, in the usual order.

use std::sync::Arc;

use bytes::Bytes;
use http::Uri;
use http::request::Parts;
use reqsign_aws_core::{
    AssumeRoleCredentialProvider, AssumeRoleWithWebIdentityCredentialProvider, Credential,
    ECSCredentialProvider, EnvCredentialProvider, IMDSv2CredentialProvider,
    ProfileCredentialProvider,
};
use reqsign_core::{
    Context, Error, ProvideCredential, ProvideCredentialDyn, Result, SignRequest, Signer,
};

use super::AwsSettings;
use crate::clock;
use crate::export::transport::credentials::aws::context::moved;
use crate::export::transport::credentials::aws::sign::{SigningScope, UnsignedRequest, signature};
use crate::sync::Mutex;

/// The name of our sessions in AWS's audit logs.
const SESSION: &str = "fluent-bit-ai";

type Source = Box<dyn ProvideCredentialDyn<Credential = Credential>>;

/// The sources of credentials, of which the first that has any is taken.
pub(super) struct CredentialChain {
    sources: Vec<(&'static str, Source)>,
    /// What each said when none had any.
    failure: Arc<Mutex<String>>,
}

impl std::fmt::Debug for CredentialChain {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.sources.iter().map(|(name, _)| *name).collect();
        formatter.debug_tuple("Chain").field(&names).finish()
    }
}

impl CredentialChain {
    /// The environment, a profile in AWS's files, a pod's web identity (IRSA), what serves a
    /// container (ECS, EKS Pod Identity), and the instance metadata service in its version 2.
    pub(super) fn new(settings: &AwsSettings, region: &str) -> Self {
        let profile = ProfileCredentialProvider::new();
        let web_identity = AssumeRoleWithWebIdentityCredentialProvider::new()
            .with_region(region.to_owned())
            .with_regional_sts_endpoint();
        let profile = match &settings.profile {
            Some(name) => profile.with_profile(name),
            None => profile,
        };
        let profile = match &settings.credentials_file {
            Some(path) => profile.with_credentials_file(path.display().to_string()),
            None => profile,
        };
        let mut sources: Vec<(&'static str, Source)> = Vec::new();
        // What is asked for by name outranks the environment, as for AWS's own tools.
        if settings.profile.is_none() && settings.credentials_file.is_none() {
            sources.push(("environment", Box::new(EnvCredentialProvider::new())));
        }
        sources.push(("profile", Box::new(profile)));
        sources.push(("web identity", Box::new(web_identity)));
        sources.push(("container", Box::new(ECSCredentialProvider::new())));
        sources.push(("instance metadata", Box::new(IMDSv2CredentialProvider::new())));
        Self { sources, failure: Arc::default() }
    }

    /// What each source said when none had any.
    pub(super) fn failure(&self) -> Arc<Mutex<String>> {
        Arc::clone(&self.failure)
    }

    fn failed(&self, message: &str) {
        message.clone_into(&mut self.failure.lock());
    }
}

impl ProvideCredential for CredentialChain {
    type Credential = Credential;

    async fn provide_credential(&self, context: &Context) -> Result<Option<Credential>> {
        let mut said = Vec::new();
        for (name, source) in &self.sources {
            match source.provide_credential_dyn(context).await {
                Ok(Some(credential)) => return Ok(Some(credential)),
                Ok(None) => said.push(format!("{name}: none")),
                Err(error) => said.push(format!("{name}: {error}")),
            }
        }
        let message = said.join("; ");
        self.failed(&message);
        Err(Error::credential_invalid(message))
    }
}

/// Credentials of a role, for which those of the chain are exchanged at STS.
pub(super) fn role(
    settings: &AwsSettings,
    arn: &str,
    region: &str,
    chain: CredentialChain,
    context: &Context,
) -> AssumeRoleCredentialProvider {
    let scope = SigningScope { service: "sts".to_owned(), region: region.to_owned() };
    let signer = Sts { scope, endpoint: settings.sts_endpoint.clone() };
    let provider = AssumeRoleCredentialProvider::new(
        arn.to_owned(),
        Signer::new(context.clone(), chain, signer),
    );
    let provider = provider
        .with_role_session_name(SESSION.to_owned())
        .with_region(region.to_owned())
        .with_regional_sts_endpoint();
    match &settings.external_id {
        Some(id) => provider.with_external_id(id.clone()),
        None => provider,
    }
}

/// Signs requests to STS, after they were sent to where it is said to be.
#[derive(Debug)]
struct Sts {
    scope: SigningScope,
    endpoint: Option<Uri>,
}

impl SignRequest for Sts {
    type Credential = Credential;

    async fn sign_request(
        &self,
        _context: &Context,
        request: &mut Parts,
        credential: Option<&Credential>,
        _expires_in: Option<std::time::Duration>,
    ) -> Result<()> {
        let Some(credential) = credential else { return Ok(()) };
        if let Some(uri) = self.endpoint.as_ref().and_then(|to| moved(&request.uri, to)) {
            request.uri = uri;
        }
        let unsigned = UnsignedRequest {
            method: &request.method,
            url: &request.uri.to_string(),
            headers: &request.headers,
            // Its parameters are in the URL.
            body: &Bytes::new(),
        };
        let headers = signature(&unsigned, credential, &self.scope, clock::unix_nanos())
            .map_err(Error::request_invalid)?;
        request.headers.extend(headers);
        Ok(())
    }
}
