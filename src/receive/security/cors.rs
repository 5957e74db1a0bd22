//! Cross-Origin Resource Sharing (the Fetch Standard, section "CORS protocol"), so that exporters
//! in browsers may send from pages of other origins.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::settings::SecuritySettings;
use crate::receive::response_body::ResponseBody;

/// Request headers that exporters set.
const USUAL: [&str; 9] = [
    "accept",
    "authorization",
    "baggage",
    "content-encoding",
    "content-type",
    "traceparent",
    "tracestate",
    "user-agent",
    "x-requested-with",
];
/// How long browsers may remember an answer, in seconds; they have lower limits of their own.
const MAX_AGE: &str = "7200";

/// Which origins may send.
#[derive(Debug)]
pub(in crate::receive) struct Cors {
    origins: Vec<Pattern>,
    headers: Vec<String>,
    any_header: bool,
}

#[derive(Debug)]
enum Pattern {
    Any,
    Exact(String),
    /// What stands before and after the `*`.
    Around(String, String),
}

impl Cors {
    /// Reads the patterns; nothing if there are none.
    ///
    /// # Errors
    /// Every pattern that is wrong.
    pub(super) fn new(settings: &SecuritySettings) -> Result<Option<Self>, Vec<String>> {
        let mut problems = Vec::new();
        let mut origins = Vec::new();
        for text in &settings.cors_allowed_origins {
            match pattern(text) {
                Some(pattern) => origins.push(pattern),
                None => problems.push(format!(
                    "option 'cors_allowed_origins': '{text}' is not allowed; allowed: origins such \
                     as https://app.example.com, with at most one '*', or '*' alone"
                )),
            }
        }
        let headers = &settings.cors_allowed_headers;
        if origins.is_empty() && !headers.is_empty() && problems.is_empty() {
            problems.push(
                "option 'cors_allowed_headers': is of use only beside 'cors_allowed_origins'"
                    .to_owned(),
            );
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let lower = headers.iter().map(|header| header.to_ascii_lowercase());
        let any_header = headers.iter().any(|header| header == "*");
        let headers = lower.chain(USUAL.map(str::to_owned)).collect();
        Ok((!origins.is_empty()).then_some(Self { origins, headers, any_header }))
    }

    /// The answer to a request that is a preflight; `None` for any other.
    pub(in crate::receive) fn preflight(
        &self,
        request: &Request<Incoming>,
    ) -> Option<Response<ResponseBody>> {
        let is_preflight = request.method() == Method::OPTIONS
            && request.headers().contains_key(ORIGIN)
            && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        is_preflight.then(|| self.answer(request.headers()))
    }

    /// The headers that browsers need beside an answer to a request with these headers.
    pub(in crate::receive) fn exposing(&self, request: &HeaderMap) -> Exposing {
        Exposing(self.allowed(request))
    }

    /// The answer to a preflight. One without the headers means "no".
    fn answer(&self, request: &HeaderMap) -> Response<ResponseBody> {
        let allowed = self.allowed(request);
        let mut response = Response::new(ResponseBody::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(
            VARY,
            HeaderValue::from_static(
                "origin, access-control-request-method, access-control-request-headers",
            ),
        );
        let method = request.get(ACCESS_CONTROL_REQUEST_METHOD);
        let asked = request.get(ACCESS_CONTROL_REQUEST_HEADERS);
        let Some(allowed) = allowed else { return response };
        if method.is_none_or(|method| method != "POST") || !self.takes(asked) {
            return response;
        }
        allowed.write(headers);
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
        if let Some(asked) = asked {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        response
    }

    /// Whether all headers that a page wants to set are allowed.
    fn takes(&self, asked: Option<&HeaderValue>) -> bool {
        let Some(asked) = asked else { return true };
        let Ok(asked) = asked.to_str() else { return false };
        let mut names = asked.split(',').map(|name| name.trim().to_ascii_lowercase());
        self.any_header || names.all(|name| name.is_empty() || self.headers.contains(&name))
    }

    fn allowed(&self, request: &HeaderMap) -> Option<Allowed> {
        let origin = request.get(ORIGIN)?;
        let text = origin.to_str().ok()?.to_ascii_lowercase();
        // A pattern that names the origin says more than one that takes all.
        let named = self.origins.iter().any(|pattern| match pattern {
            Pattern::Any => false,
            Pattern::Exact(exact) => *exact == text,
            Pattern::Around(before, after) => {
                text.strip_prefix(before.as_str()).is_some_and(|rest| {
                    rest.strip_suffix(after.as_str()).is_some_and(|middle| !middle.is_empty())
                })
            }
        });
        if named {
            return Some(Allowed::Origin(origin.clone()));
        }
        let any = self.origins.iter().any(|pattern| matches!(pattern, Pattern::Any));
        any.then_some(Allowed::All)
    }
}

/// What an origin may do.
enum Allowed {
    /// A page of this origin, which may send the credentials that the browser keeps.
    Origin(HeaderValue),
    /// Any page, but none with the browser's credentials.
    All,
}

impl Allowed {
    fn write(self, headers: &mut HeaderMap) {
        match self {
            Self::Origin(origin) => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
                headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            }
            Self::All => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            }
        }
    }
}

fn pattern(text: &str) -> Option<Pattern> {
    let text = text.trim().to_ascii_lowercase();
    if text == "*" {
        return Some(Pattern::Any);
    }
    let is_origin = text == "null"
        || text.split_once("://").is_some_and(|(scheme, host)| {
            !scheme.is_empty() && !host.is_empty() && !host.contains('/')
        });
    if !is_origin || text.matches('*').count() > 1 {
        return None;
    }
    Some(match text.split_once('*') {
        Some((before, after)) => Pattern::Around(before.to_owned(), after.to_owned()),
        None => Pattern::Exact(text),
    })
}

/// Headers of an answer that let the page of a browser read it.
pub(in crate::receive) struct Exposing(Option<Allowed>);

impl Exposing {
    /// Adds them.
    pub(in crate::receive) fn write(self, headers: &mut HeaderMap) {
        headers.append(VARY, HeaderValue::from_static("origin"));
        if let Some(allowed) = self.0 {
            allowed.write(headers);
            headers.insert(
                ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static("retry-after, www-authenticate"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &[&str], headers: &[&str]) -> Result<Option<Cors>, Vec<String>> {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Cors::new(&SecuritySettings {
            cors_allowed_origins: own(origins),
            cors_allowed_headers: own(headers),
            ..SecuritySettings::default()
        })
    }

    fn allows(cors: &Cors, origin: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, HeaderValue::from_str(origin).unwrap());
        cors.allowed(&headers).is_some()
    }

    #[test]
    fn origins_match_exactly_or_by_one_star() {
        assert!(cors(&[], &[]).unwrap().is_none());
        let some = cors(&["https://app.example.com", "https://*.example.org:8443"], &[]);
        let some = some.unwrap().unwrap();
        let table = [
            ("https://app.example.com", true),
            ("HTTPS://App.Example.com", true),
            ("http://app.example.com", false),
            ("https://app.example.com.evil.test", false),
            ("https://a.example.org:8443", true),
            ("https://.example.org:8443", false),
            ("https://a.example.org", false),
            ("null", false),
        ];
        for (origin, expected) in table {
            assert_eq!(allows(&some, origin), expected, "{origin}");
        }
        assert!(allows(&cors(&["*"], &[]).unwrap().unwrap(), "null"));
        for wrong in ["example.com", "https://*.*.com", "https://a.test/path", ""] {
            let problems = cors(&[wrong], &[]).unwrap_err();
            assert!(problems[0].contains("cors_allowed_origins"), "{problems:?}");
        }
        assert!(cors(&[], &["x-a"]).unwrap_err()[0].contains("cors_allowed_headers"));
    }

    #[test]
    fn headers_are_usual_or_listed() {
        let listed = cors(&["*"], &["X-Tenant"]).unwrap().unwrap();
        let takes =
            |cors: &Cors, asked: &'static str| cors.takes(Some(&HeaderValue::from_static(asked)));
        assert!(takes(&listed, "content-type, Authorization,x-tenant"));
        assert!(!takes(&listed, "content-type, x-other"));
        assert!(takes(&cors(&["*"], &["*"]).unwrap().unwrap(), "x-other"));
    }
}
