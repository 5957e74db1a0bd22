//! Options `aws_...` of an endpoint: signed requests to AWS's own OTLP endpoints.

use std::path::PathBuf;

use http::Uri;

use super::given::WrongOption;
use super::values;
use crate::export::{AwsSettings, Protocol};

/// Where the region is said for all of AWS's tools.
const REGION_VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// The options while they are read.
#[derive(Default)]
pub(super) struct AwsDraft {
    pub(super) auth: bool,
    pub(super) service: Option<String>,
    pub(super) region: Option<String>,
    pub(super) profile: Option<String>,
    pub(super) credentials_file: Option<PathBuf>,
    pub(super) role_arn: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) sts_endpoint: Option<Uri>,
}

impl AwsDraft {
    /// The settings, if requests are to be signed. `environment` is asked for variables.
    pub(super) fn finish(
        self,
        url: &Uri,
        protocol: Protocol,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<AwsSettings>, WrongOption> {
        if !self.auth {
            let alone = self.given().map(|key| (key, "it needs 'aws_auth: on'".to_owned()));
            return alone.map_or(Ok(None), Err);
        }
        if protocol == Protocol::Grpc {
            return Err(("aws_auth", "AWS takes OTLP over HTTP only; no gRPC".to_owned()));
        }
        let (known_service, known_region) = of_host(url.host().unwrap_or_default());
        let service = self.service.or(known_service).ok_or_else(|| {
            let reason = "it is needed where the url does not say it, such as logs or xray";
            ("aws_service", reason.to_owned())
        })?;
        let region = self.region.or(known_region);
        let region = region.or_else(|| REGION_VARIABLES.into_iter().find_map(environment));
        let region = region.ok_or_else(|| {
            ("aws_region", "it is needed where neither the url nor AWS_REGION says it".to_owned())
        })?;
        if self.external_id.is_some() && self.role_arn.is_none() {
            return Err(("aws_external_id", "it needs 'aws_role_arn'".to_owned()));
        }
        Ok(Some(AwsSettings {
            service,
            region,
            profile: self.profile,
            credentials_file: self.credentials_file,
            role_arn: self.role_arn,
            external_id: self.external_id,
            sts_endpoint: self.sts_endpoint,
        }))
    }

    /// The first key beside `aws_auth` that is given.
    fn given(&self) -> Option<&'static str> {
        let given = [
            ("aws_service", self.service.is_some()),
            ("aws_region", self.region.is_some()),
            ("aws_profile", self.profile.is_some()),
            ("aws_credentials_file", self.credentials_file.is_some()),
            ("aws_role_arn", self.role_arn.is_some()),
            ("aws_external_id", self.external_id.is_some()),
            ("aws_sts_endpoint", self.sts_endpoint.is_some()),
        ];
        given.into_iter().find_map(|(key, is_given)| is_given.then_some(key))
    }
}

/// Fluent Bit's own options name a host or an URL.
pub(super) fn sts_endpoint(text: &str) -> Result<Uri, String> {
    if text.contains("://") { values::url(text) } else { values::url(&format!("https://{text}")) }
}

/// Service and region of `SERVICE.REGION.amazonaws.com` and its likes in other partitions.
fn of_host(host: &str) -> (Option<String>, Option<String>) {
    let aws = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"];
    let Some(rest) = aws.into_iter().find_map(|end| host.strip_suffix(end)) else {
        return (None, None);
    };
    let mut labels = rest.rsplit('.');
    let region = labels.next().filter(|label| label.contains('-'));
    let service = region.and(labels.next());
    (service.map(str::to_owned), region.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(
        url: &str,
        protocol: Protocol,
        draft: AwsDraft,
    ) -> Result<Option<AwsSettings>, WrongOption> {
        draft.finish(&url.parse().unwrap(), protocol, &|name| {
            (name == "AWS_REGION").then(|| "us-west-2".to_owned())
        })
    }

    fn on() -> AwsDraft {
        AwsDraft { auth: true, ..AwsDraft::default() }
    }

    const XRAY: &str = "https://xray.eu-central-1.amazonaws.com/v1/traces";

    #[test]
    fn service_and_region_come_from_options_url_and_environment_in_this_order() {
        let http = Protocol::HttpProtobuf;
        let said = |url: &str, draft: AwsDraft| {
            let settings = finished(url, http, draft).unwrap().unwrap();
            (settings.service, settings.region)
        };
        let pair = |service: &str, region: &str| (service.to_owned(), region.to_owned());
        assert_eq!(said(XRAY, on()), pair("xray", "eu-central-1"));
        let china = "https://logs.cn-north-1.amazonaws.com.cn";
        assert_eq!(said(china, on()), pair("logs", "cn-north-1"));
        let (service, region) = (Some("logs".to_owned()), Some("eu-west-3".to_owned()));
        let all = AwsDraft { service, region, ..on() };
        assert_eq!(said(XRAY, all), pair("logs", "eu-west-3"));
        let service = Some("xray".to_owned());
        let local = AwsDraft { service, ..on() };
        assert_eq!(said("http://127.0.0.1:4318", local), pair("xray", "us-west-2"));
        assert_eq!(finished(XRAY, http, AwsDraft::default()), Ok(None));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_key() {
        let http = Protocol::HttpProtobuf;
        let refused = |url, protocol, draft| finished(url, protocol, draft).unwrap_err().0;
        let region = Some("eu-west-1".to_owned());
        let alone = AwsDraft { region, ..AwsDraft::default() };
        assert_eq!(refused(XRAY, http, alone), "aws_region");
        assert_eq!(refused(XRAY, Protocol::Grpc, on()), "aws_auth");
        assert_eq!(refused("http://collector:4318", http, on()), "aws_service");
        let external_id = Some("id".to_owned());
        let no_role = AwsDraft { external_id, ..on() };
        assert_eq!(refused(XRAY, http, no_role), "aws_external_id");
        assert_eq!(sts_endpoint("sts.example").unwrap(), "https://sts.example/");
        assert!(sts_endpoint("ftp://x").is_err());
    }
}
