//! Redirect policy: followed on the same host, with method, body and headers; reported otherwise.
//!
//! RFC 9110: 307 and 308 keep the method (sections 15.4.8 and 15.4.9). After 301 and 302 a client
//! may go on with GET, for historical reasons, but need not (15.4.2 and 15.4.3): a request for
//! telemetry means nothing as GET, so it stays a POST. 303 asks for a GET (15.4.4) and is never
//! followed. Another host, another port, or the way from https back to http would get the data and
//! the credentials without anybody having said so.

use std::sync::atomic::{AtomicU64, Ordering};

use http::header::LOCATION;
use reqwest::Url;

use crate::export::transport::reply::EndpointReply;
use crate::export::transport::reply::{ReceivedReply, failed, printable};
use crate::model::Signal;
use crate::routing::{EndpointAnswer, RequestFailureReason};
use crate::sync::{Mutex, MutexGuard};

/// How many redirects of one request are followed.
const MAX_REDIRECTS: usize = 5;

/// The redirects of one endpoint that hold for good.
#[derive(Debug, Default)]
pub(in crate::export) struct Redirects {
    /// By signal.
    lasting: Mutex<[Option<Url>; 4]>,
    followed: AtomicU64,
}

/// The way of one request.
#[derive(Debug)]
pub(in crate::export) struct RedirectRoute {
    pub(in crate::export) url: Url,
    pub(in crate::export) followed: usize,
    /// Whether all redirects on it hold for good.
    is_lasting: bool,
    /// Whether it began where an earlier request was sent for good.
    is_remembered: bool,
}

impl Redirects {
    /// The way of a request for `configured`.
    pub(in crate::export) fn begin(&self, signal: Signal, configured: &Url) -> RedirectRoute {
        let known = self.lasting().get(signal.index()).cloned().flatten();
        let is_remembered = known.is_some();
        let url = known.unwrap_or_else(|| configured.clone());
        RedirectRoute { url, followed: 0, is_lasting: true, is_remembered }
    }

    /// Learns from what came of a request. Returns whether a redirect is to be logged: the first
    /// time and then seldom.
    pub(in crate::export) fn end(
        &self,
        signal: Signal,
        route: &RedirectRoute,
        answer: EndpointAnswer,
    ) -> bool {
        use RequestFailureReason::{Connect, Misdirected, NotOtlp};
        let mut lasting = self.lasting();
        let Some(known) = lasting.get_mut(signal.index()) else { return false };
        let is_wrong = match answer {
            EndpointAnswer::Retry { reason, .. } | EndpointAnswer::Refused(reason) => {
                matches!(reason, Connect | Misdirected | NotOtlp)
            }
            EndpointAnswer::Accepted | EndpointAnswer::Unclear => false,
        };
        if is_wrong {
            *known = None;
        }
        if answer != EndpointAnswer::Accepted || route.followed == 0 {
            return false;
        }
        if route.is_lasting {
            *known = Some(route.url.clone());
        }
        let followed = self.followed.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        route.is_lasting || followed.is_power_of_two()
    }

    fn lasting(&self) -> MutexGuard<'_, [Option<Url>; 4]> {
        self.lasting.lock()
    }
}

impl RedirectRoute {
    /// Whether every redirect on the way was for good, so that the target may be remembered.
    pub(in crate::export) const fn is_lasting(&self) -> bool {
        self.is_lasting
    }

    /// Whether the request began at a target that an earlier redirect led to.
    pub(in crate::export) const fn is_remembered(&self) -> bool {
        self.is_remembered
    }

    /// Whether the answer sends the request somewhere else, where it can go: then the URL is that.
    /// An error is what comes of a redirect that is not followed.
    pub(in crate::export) fn follow(
        &mut self,
        received: &ReceivedReply,
    ) -> Option<Result<(), EndpointReply>> {
        let status = received.status;
        if !matches!(status, 301..=303 | 307 | 308) {
            return None;
        }
        let location = received.header(LOCATION);
        let refused = |why: &str| {
            let shown = match Url::parse(location) {
                Ok(url) => shown(&url),
                Err(_) => printable(location.split('?').next().unwrap_or_default()),
            };
            let message = format!("HTTP status {status} redirects to '{shown}', {why}");
            let reason = RequestFailureReason::Misdirected;
            let is_temporary = matches!(status, 302 | 307);
            let answer = if is_temporary {
                EndpointAnswer::Retry { reason, after: None }
            } else {
                EndpointAnswer::Refused(reason)
            };
            Some(Err(failed(answer, message)))
        };
        let target = match self.url.join(location) {
            Ok(target) if !location.is_empty() => target,
            _ => return refused("which is no URL"),
        };
        if status == 303 {
            return refused("which is to be read with GET");
        }
        if !is_same_host(&self.url, &target) {
            return refused(
                "which is another host, port or scheme: it is not followed, because data and \
                 credentials would go there; if that is right, write it as the url",
            );
        }
        if self.followed >= MAX_REDIRECTS {
            return refused("after too many redirects before");
        }
        self.followed = self.followed.saturating_add(1);
        self.is_lasting &= matches!(status, 301 | 308);
        let (user, password) = (self.url.username().to_owned(), self.url.password());
        let mut target = target;
        target.set_fragment(None);
        // What the URL says of who we are goes on; what the answer says does not count.
        if target.set_username(&user).and_then(|()| target.set_password(password)).is_err() {
            return refused("which is no URL for a request");
        }
        self.url = target;
        Some(Ok(()))
    }
}

/// Whether data and credentials for one URL may go to the other: the same host and port, or the
/// same host by TLS now, at the same port or the usual one.
fn is_same_host(from: &Url, to: &Url) -> bool {
    if from.host() != to.host() || from.host().is_none() {
        return false;
    }
    let (from_port, to_port) = (from.port_or_known_default(), to.port_or_known_default());
    match (from.scheme(), to.scheme()) {
        (a, b) if a == b => from_port == to_port,
        ("http", "https") => from_port == to_port || to_port == Some(443),
        _ => false,
    }
}

/// An URL without what may be a secret.
pub(in crate::export) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _hidden = url.set_username("").and_then(|()| url.set_password(None));
    let has_query = url.query().is_some();
    url.set_query(None);
    url.set_fragment(None);
    let more = if has_query { "?..." } else { "" };
    printable(&format!("{url}{more}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(url: &str) -> RedirectRoute {
        Redirects::default().begin(Signal::Logs, &Url::parse(url).unwrap())
    }

    fn to(status: u16, location: &str) -> ReceivedReply {
        let mut received = ReceivedReply { status, ..ReceivedReply::default() };
        received.headers.insert(LOCATION, location.parse().unwrap());
        received
    }

    #[test]
    fn redirects_on_the_same_host_are_followed() {
        for (from, location, expected) in [
            ("http://a:4318/v1/logs", "/v1/logs/", "http://a:4318/v1/logs/"),
            ("http://a:4318/v1/logs?k=v", "logs/x#f", "http://a:4318/v1/logs/x"),
            ("http://a/v1/logs", "https://A/v1/logs", "https://a/v1/logs"),
            ("http://a:4318/x", "https://a:4318/x", "https://a:4318/x"),
            ("http://a:4318/x", "https://a/x", "https://a/x"),
            ("https://a/x", "https://a:443/y", "https://a/y"),
            ("http://u:p@a/x", "http://evil:e@a/y", "http://u:p@a/y"),
            ("http://[::1]:4318/x", "//[::1]:4318/y", "http://[::1]:4318/y"),
        ] {
            for status in [301, 302, 307, 308] {
                let mut route = route(from);
                assert!(matches!(route.follow(&to(status, location)), Some(Ok(()))), "{location}");
                assert_eq!(route.url.as_str(), expected);
                assert_eq!(route.is_lasting, matches!(status, 301 | 308));
            }
        }
    }

    #[test]
    fn other_places_are_reported_and_not_followed() {
        for (from, location) in [
            ("http://a/x", "http://b/x"),
            ("http://a/x", "http://a.b/x"),
            ("http://a/x", "//b/x"),
            ("http://a:4318/x", "http://a:4319/x"),
            ("http://a:4318/x", "https://a:4319/x"),
            ("https://a/x", "http://a/x"),
            ("https://a/x", "ftp://a/x"),
            ("https://a/x", "https://a@b/x"),
            ("http://a/x", ""),
            ("http://a/x", "http://["),
        ] {
            for (status, temporary) in [(307, true), (302, true), (308, false), (301, false)] {
                let mut route = route(from);
                let Some(Err(reply)) = route.follow(&to(status, location)) else {
                    panic!("{location}");
                };
                let is_temporary = matches!(reply.answer, EndpointAnswer::Retry { .. });
                assert_eq!(is_temporary, temporary, "{location} {status}");
                assert!(reply.message.contains(&status.to_string()), "{}", reply.message);
                assert_eq!(route.url.as_str(), from);
            }
        }
        let Some(Err(reply)) = route("http://a/x").follow(&to(308, "http://u:p@b/x?key=hush"))
        else {
            panic!()
        };
        assert!(reply.message.contains("'http://b/x?...'"), "{}", reply.message);
        assert!(matches!(route("http://a/x").follow(&to(303, "/y")), Some(Err(_))));
        assert!(route("http://a/x").follow(&to(304, "/y")).is_none());
    }

    #[test]
    fn redirects_that_go_on_end() {
        let mut route = route("http://a/x");
        for _ in 0..MAX_REDIRECTS {
            assert!(matches!(route.follow(&to(307, "/x")), Some(Ok(()))));
        }
        assert!(matches!(route.follow(&to(307, "/x")), Some(Err(_))));
    }

    #[test]
    fn what_holds_for_good_is_remembered_while_it_works() {
        let redirects = Redirects::default();
        let configured = Url::parse("http://a/x").unwrap();
        let mut route = redirects.begin(Signal::Logs, &configured);
        route.follow(&to(308, "/y")).unwrap().unwrap();
        let refused = EndpointAnswer::Refused(RequestFailureReason::Refused);
        assert!(!redirects.end(Signal::Logs, &route, refused));
        assert!(!redirects.begin(Signal::Logs, &configured).is_remembered());
        assert!(redirects.end(Signal::Logs, &route, EndpointAnswer::Accepted));
        let again = redirects.begin(Signal::Logs, &configured);
        assert_eq!((again.url.path(), again.is_remembered()), ("/y", true));
        assert_eq!(redirects.begin(Signal::Traces, &configured).url.path(), "/x");
        assert!(!redirects.end(Signal::Logs, &again, EndpointAnswer::Accepted));
        // One that is for now is not remembered, and logged seldom.
        let mut route = redirects.begin(Signal::Traces, &configured);
        route.follow(&to(307, "/y")).unwrap().unwrap();
        let receiver: Vec<bool> = (0..3)
            .map(|_| redirects.end(Signal::Traces, &route, EndpointAnswer::Accepted))
            .collect();
        assert_eq!(receiver, [true, false, true]);
        assert!(!redirects.begin(Signal::Traces, &configured).is_remembered());
        let gone = EndpointAnswer::Refused(RequestFailureReason::Misdirected);
        assert!(!redirects.end(Signal::Logs, &again, gone));
        assert_eq!(redirects.begin(Signal::Logs, &configured).url.path(), "/x");
    }
}
