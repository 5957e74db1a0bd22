//! AWS Signature Version 4 of one request.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as Identity;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqsign_aws_core::Credential;

/// For whom a request is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SigningScope {
    /// The service's name in signatures, such as `logs` or `xray`.
    pub(super) service: String,
    /// Such as `eu-central-1`.
    pub(super) region: String,
}

/// A request as it will be sent.
pub(super) struct UnsignedRequest<'a> {
    pub(super) method: &'a Method,
    /// The whole URL.
    pub(super) url: &'a str,
    /// All of them are signed but those that proxies change.
    pub(super) headers: &'a HeaderMap,
    /// The body as it goes over the wire, which is after compression.
    pub(super) body: &'a [u8],
}

/// The headers that make a request a signed one: `authorization`, `x-amz-date`, and
/// `x-amz-security-token` for temporary credentials. The time is in nanoseconds since the Unix
/// epoch.
///
/// # Errors
/// What of the request cannot be signed; no secret is in it.
pub(super) fn signature(
    request: &UnsignedRequest<'_>,
    credential: &Credential,
    scope: &SigningScope,
    unix_nanos: u64,
) -> Result<HeaderMap, String> {
    let identity = Identity::new(
        &credential.access_key_id,
        &credential.secret_access_key,
        credential.session_token.clone(),
        None,
        "fluent-bit-ai",
    );
    let identity = identity.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&scope.region)
        .name(&scope.service)
        .time(SystemTime::UNIX_EPOCH + Duration::from_nanos(unix_nanos))
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| error.to_string())?;
    let headers = request
        .headers
        .iter()
        .filter(|(name, _)| **name != HOST)
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()));
    let signable = SignableRequest::new(
        request.method.as_str(),
        request.url,
        headers,
        SignableBody::Bytes(request.body),
    );
    let signed = signable.and_then(|signable| sign(signable, &params.into()));
    let (instructions, _signature) = signed.map_err(|error| error.to_string())?.into_parts();
    instructions.headers().map(header).collect()
}

fn header((name, value): (&str, &str)) -> Result<(HeaderName, HeaderValue), String> {
    let unfit = || format!("the header '{name}' cannot be sent");
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit())?;
    let mut value = HeaderValue::from_str(value).map_err(|_| unfit())?;
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2015-08-30T12:36:00Z, the time of AWS's published examples.
    const PUBLISHED: u64 = 1_440_938_160_000_000_000;

    /// Method, path, headers, body, and the signature.
    type Row<'a> = (&'a Method, &'a str, &'a [(&'a str, &'a str)], &'a [u8], &'a str);

    fn published_credential() -> Credential {
        Credential {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            ..Credential::default()
        }
    }

    fn signed(method: &Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap())
        };
        let mut map = HeaderMap::new();
        headers.iter().map(pair).for_each(|(name, value): (_, HeaderValue)| {
            map.append(name, value);
        });
        let url = format!("https://example.amazonaws.com{path}");
        let request = UnsignedRequest { method, url: &url, headers: &map, body };
        let scope = SigningScope { service: "service".to_owned(), region: "us-east-1".to_owned() };
        signature(&request, &published_credential(), &scope, PUBLISHED).unwrap()
    }

    fn of(headers: &HeaderMap) -> &str {
        headers["authorization"].to_str().unwrap().rsplit_once("Signature=").unwrap().1
    }

    /// Requests and signatures of AWS's own test suite for Signature Version 4.
    #[test]
    fn the_published_examples_have_their_signatures() {
        let (get, post) = (&Method::GET, &Method::POST);
        let form = ("Content-Type", "application/x-www-form-urlencoded");
        let hash = (
            "x-amz-content-sha256",
            "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e",
        );
        let rows: [Row<'_>; 7] = [
            (
                get,
                "/",
                &[],
                b"",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                post,
                "/",
                &[],
                b"",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                get,
                "/?Param2=value2&Param1=value1",
                &[],
                b"",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                post,
                "/",
                &[form, ("Content-Length", "13"), hash],
                b"Param1=value1",
                "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
            ),
            (
                post,
                "/",
                &[("My-Header1", "VALUE1")],
                b"",
                "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
            ),
            (
                get,
                "/",
                &[("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")],
                b"",
                "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ),
            (
                get,
                "/",
                &[("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")],
                b"",
                "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
            ),
        ];
        for (method, path, headers, body, expected) in rows {
            assert_eq!(of(&signed(method, path, headers, body)), expected, "{method} {path}");
        }
    }

    #[test]
    fn a_session_token_is_sent_and_signed_and_nothing_is_shown() {
        let token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
        let mut credential = published_credential();
        credential.session_token = Some(token.to_owned());
        let headers = HeaderMap::new();
        let url = "https://example.amazonaws.com/";
        let request = UnsignedRequest { method: &Method::GET, url, headers: &headers, body: b"" };
        let scope = SigningScope { service: "service".to_owned(), region: "us-east-1".to_owned() };
        let signed = signature(&request, &credential, &scope, PUBLISHED).unwrap();
        let text = signed["authorization"].to_str().unwrap();
        assert!(text.contains("SignedHeaders=host;x-amz-date;x-amz-security-token"), "{text}");
        assert!(text.contains("AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"), "{text}");
        let published = "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8";
        assert_eq!(of(&signed), published);
        assert_eq!(signed["x-amz-security-token"], token);
        assert_eq!(signed["x-amz-date"], "20150830T123600Z");
        assert!(!format!("{signed:?}").contains(token));
    }
}
