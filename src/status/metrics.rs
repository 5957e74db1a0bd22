//! Metrics page: the metrics that filters emitted last, for Prometheus.

use std::io::Write as _;

use bytes::Bytes;
use flate2::write::GzEncoder;
use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderName};

use crate::codec::fluentbit::write::{PageFormat, PageMemory, metrics_to_page};
use crate::codec::records::{RequestBuilder, push_records};
use crate::hub::Hub;
use crate::model::{LastMetrics, Signal};
use crate::runtime::heavy;
use crate::sync::Mutex;

/// How large a page may become, in bytes.
const LARGEST: usize = 64 * 1024 * 1024;
/// A page is about so many times as long as its records.
const GROWTH: usize = 8;

/// The formats, with their media types.
const FORMATS: [(PageFormat, &str, &str); 2] = [
    (
        PageFormat::OpenMetrics,
        "application/openmetrics-text",
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    ),
    (PageFormat::Prometheus, "text/plain", "text/plain; version=0.0.4; charset=utf-8"),
];

/// The pages of what there was last, each made when it is first asked for.
#[derive(Default)]
struct MadePages {
    /// The filter and the time of each export that is on them.
    of: Vec<(String, u64)>,
    pages: [Option<Bytes>; FORMATS.len()],
    /// The same, compressed.
    packed: [Option<Bytes>; FORMATS.len()],
    memory: PageMemory,
}

/// A page in one format.
#[derive(Debug)]
pub(super) struct FormattedPage {
    pub(super) media_type: &'static str,
    pub(super) is_gzip: bool,
    pub(super) body: Bytes,
}

/// The page of a run.
#[derive(Default)]
pub(super) struct MetricsPage(Mutex<MadePages>);

impl MetricsPage {
    /// The page, or why there is none. An export makes it once in a format, however many ask; they wait for it.
    pub(super) fn answer(
        &self,
        hub: &Hub,
        headers: &HeaderMap,
    ) -> Result<FormattedPage, &'static str> {
        let index = format(headers);
        let (format, _, media_type) = *FORMATS.get(index).ok_or("there is no such format\n")?;
        let mut made = self.0.lock();
        let sources = hub.status_sources();
        let exports = sources.iter().filter_map(|(name, it)| Some((name.clone(), it.metrics()?)));
        let (of, exports): (Vec<_>, Vec<LastMetrics>) =
            exports.map(|(name, last)| ((name, last.unix_nanos), last)).unzip();
        if made.of != of {
            (made.of, made.pages, made.packed) = (of, Default::default(), Default::default());
        }
        let MadePages { pages, packed, memory, .. } = &mut *made;
        let (Some(plain), Some(packed)) = (pages.get_mut(index), packed.get_mut(index)) else {
            return Err("there is no such format\n");
        };
        let body = match plain {
            Some(body) => body,
            None => {
                let length: usize = exports.iter().map(|last| last.events.len()).sum();
                let made = heavy(length.saturating_mul(GROWTH), || page(&exports, format, memory));
                plain.insert(Bytes::from(made?))
            }
        };
        let is_gzip = takes_gzip(headers);
        let body = if is_gzip {
            packed.get_or_insert_with(|| heavy(body.len(), || gzip(body)))
        } else {
            body
        };
        Ok(FormattedPage { media_type, is_gzip, body: body.clone() })
    }
}

/// A page compressed.
fn gzip(page: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing to memory does not fail; were it to, the reader would refuse what is no gzip.
    let packed = encoder.write_all(page).and_then(|()| encoder.finish());
    packed.map(Bytes::from).unwrap_or_default()
}

/// Whether a request takes gzip.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let named = |(name, quality): (&str, f64)| name.eq_ignore_ascii_case("gzip") && quality > 0.0;
    accepted(headers, ACCEPT_ENCODING).any(named)
}

/// What a header accepts, each with how much.
fn accepted(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = (&str, f64)> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let accepted = parts.next().unwrap_or_default();
        let quality = parts.find_map(|part| part.strip_prefix("q=")).unwrap_or("1");
        (accepted, quality.parse().unwrap_or(0.0))
    })
}

fn page(
    exports: &[LastMetrics],
    format: PageFormat,
    memory: &mut PageMemory,
) -> Result<Vec<u8>, &'static str> {
    const TOO_MUCH: &str = "there are too many series for a page of 64 MiB: lower 'max_series' of ai_metrics, or \
                            take its metrics by OTLP\n";
    if exports.iter().any(|last| !last.is_whole) {
        return Err(TOO_MUCH);
    }
    let mut builder = RequestBuilder::new(Signal::Metrics);
    for last in exports {
        push_records(&mut builder, &last.events).map_err(|_| "these are not metrics\n")?;
    }
    metrics_to_page(&builder.finish(), format, memory, LARGEST).map_err(|_| TOO_MUCH)
}

/// The index of the format that a request accepts most; that of Prometheus for who says nothing of either.
fn format(headers: &HeaderMap) -> usize {
    let mut best = [0.0_f64; FORMATS.len()];
    for (media_type, quality) in accepted(headers, ACCEPT) {
        for ((_, known, _), best) in FORMATS.iter().zip(&mut best) {
            if media_type.eq_ignore_ascii_case(known) {
                *best = best.max(quality);
            }
        }
    }
    let [open_metrics, prometheus] = best;
    usize::from(open_metrics <= 0.0 || prometheus > open_metrics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_that_which_is_accepted_most() {
        for (accept, expected) in [
            ("", PageFormat::Prometheus),
            ("*/*", PageFormat::Prometheus),
            ("text/plain", PageFormat::Prometheus),
            ("application/openmetrics-text", PageFormat::OpenMetrics),
            ("Application/OpenMetrics-Text; version=1.0.0; q=0", PageFormat::Prometheus),
            ("application/openmetrics-text;q=0.3, text/plain;q=0.4", PageFormat::Prometheus),
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                PageFormat::OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                PageFormat::OpenMetrics,
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(FORMATS[format(&headers)].0, expected, "{accept}");
        }
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for (accept, expected) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("", false),
            ("deflate, br", false),
            ("gzip;q=0, identity", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, accept.parse().unwrap());
            assert_eq!(takes_gzip(&headers), expected, "{accept}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
