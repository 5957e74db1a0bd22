//! Multi-tenancy: which tenant a request is of, which tags its events get, and how much each
//! tenant may send.
//!
//! What is not configured costs a request one look at a flag. Requests that are to be changed or
//! split are handled on the wire, before they are transcoded.

mod resource;
mod route;
mod split;
mod tags;
mod tenant_attribute;
mod token_bucket;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName};

pub(super) use route::TagRoute;
pub use tags::{TagFrom, TagSettings, is_tag};
pub use token_bucket::TenantRate;

use super::memory_budget::HeldMemory;
use super::refusal::Refusal;
use super::transcode::Transcoder;
use crate::clock;
use crate::codec::records::Transcoded;
use crate::model::Signal;
use crate::stats::{Counter, CounterFamily, Counters};
use route::{PartlyStored, SplitEvents, TagPart};
use split::{RequestPieces, split};
use tags::{Tag, Tags};
use tenant_attribute::TenantAttribute;
use token_bucket::TenantLimits;

/// Longest name of a tenant, in bytes.
pub const MAX_TENANT_LENGTH: usize = 128;
/// What stands for tenants that have no rate of their own in counters.
const OTHERS: &str = "other";

const TAGS: CounterFamily =
    CounterFamily::gauge("tags", "Tags made of resource attributes, headers or tenants.", &[]);
const TAG_OVERFLOWS: CounterFamily = CounterFamily::counter(
    "tag_overflows_total",
    "Resources or requests under the overflow tag, because there were 'max_tags' tags.",
    &[],
);
const PARTLY_STORED: CounterFamily = CounterFamily::counter(
    "partly_stored_requests_total",
    "Requests of several tags that the host took in part; the next try goes on from there.",
    &[],
);
const TENANT_BYTES: CounterFamily = CounterFamily::counter(
    "tenant_accepted_bytes_total",
    "Bytes of accepted requests after decompression, by tenant with a rate of its own.",
    &["tenant"],
);
const TENANT_LIMITED: CounterFamily = CounterFamily::counter(
    "tenant_limited_requests_total",
    "Requests told to wait for their tenant's rate, by tenant with a rate of its own.",
    &["tenant"],
);

/// What is configured of tags and tenants.
#[derive(Debug, Clone)]
pub struct TenancySettings {
    /// How tags are chosen.
    pub(crate) tags: TagSettings,
    /// The header that names the tenant.
    pub(crate) tenant_header: Option<HeaderName>,
    /// The resource attribute that is set to the tenant.
    pub(crate) tenant_attribute: Option<String>,
    /// How fast each tenant may send; `None` for no limit.
    pub(crate) rate: Option<TenantRate>,
    /// The tenants with a rate of their own. Each has counters of its own.
    pub(crate) rates: Vec<(String, TenantRate)>,
    /// How many tenants have a bucket of their own at a time.
    pub(crate) max_tenants: usize,
}

impl Default for TenancySettings {
    fn default() -> Self {
        Self {
            tags: TagSettings::default(),
            tenant_header: None,
            tenant_attribute: None,
            rate: None,
            rates: Vec::new(),
            max_tenants: 10_000,
        }
    }
}

/// Which tenant a request is of.
#[derive(Debug, Default)]
pub(super) struct RequestOrigin {
    tenant: Option<Arc<str>>,
    /// The value of the header that tags come from.
    header: Option<Vec<u8>>,
}

/// What log lines append to name the sender: nothing, or ` of tenant 'x'`.
impl std::fmt::Display for RequestOrigin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.tenant {
            Some(tenant) => write!(formatter, " of tenant '{tenant}'"),
            None => Ok(()),
        }
    }
}

/// A request as log events, and where they go.
#[derive(Debug)]
pub(super) struct RoutedRequest {
    pub(super) transcoded: Transcoded,
    pub(super) events: Vec<u8>,
    pub(super) route: TagRoute,
    pub(super) charge: Charge,
}

/// The state of tags and tenants of a receiver.
#[derive(Debug)]
pub(super) struct Tenancy {
    tenant_header: Option<HeaderName>,
    tenant_attribute: Option<String>,
    tags: Tags,
    limits: Option<Arc<Limited>>,
    begun: Arc<PartlyStored>,
}

/// The limits with their counters.
#[derive(Debug)]
struct Limited {
    limits: TenantLimits,
    /// Name, accepted bytes, and requests that had to wait; the last is for all others.
    counters: Vec<(String, Counter, Counter)>,
}

impl Limited {
    fn counters(&self, tenant: &str) -> Option<&(String, Counter, Counter)> {
        self.counters.iter().find(|(name, ..)| name == tenant).or(self.counters.last())
    }

    fn refuse(&self, tenant: &str, wait: std::time::Duration) -> Refusal {
        if let Some((_, _, limited)) = self.counters(tenant) {
            limited.add(1);
        }
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
        Refusal::RateLimited { seconds: u32::try_from(seconds).unwrap_or(u32::MAX).max(1) }
    }
}

/// What a request took from its tenant's bucket. It goes back if the request is not stored.
#[derive(Debug, Default)]
pub(super) struct Charge(Option<(Arc<Limited>, Arc<str>, u64)>);

impl Charge {
    /// The request is stored.
    pub(super) fn spend(mut self) {
        if let Some((limited, tenant, bytes)) = self.0.take()
            && let Some((_, accepted, _)) = limited.counters(&tenant)
        {
            accepted.add(bytes);
        }
    }

    /// The request will never be stored, which is its sender's fault.
    fn lose(mut self) {
        self.0 = None;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some((limited, tenant, bytes)) = self.0.take() {
            limited.limits.give_back(&tenant, bytes);
        }
    }
}

impl Tenancy {
    pub(super) fn new(settings: &TenancySettings, counters: &Counters) -> Self {
        let tags = Tags::new(
            &settings.tags,
            counters.counter(TAGS, &[]),
            counters.counter(TAG_OVERFLOWS, &[]),
        );
        let limits = (settings.rate.is_some() || !settings.rates.is_empty()).then(|| {
            let names = settings.rates.iter().map(|(name, _)| name.as_str());
            let counters = names
                .chain(std::iter::once(OTHERS))
                .map(|name| {
                    let bytes = counters.counter(TENANT_BYTES, &[name]);
                    (name.to_owned(), bytes, counters.counter(TENANT_LIMITED, &[name]))
                })
                .collect();
            let rates = settings.rates.iter().cloned();
            let limits = TenantLimits::new(settings.rate, rates, settings.max_tenants);
            Arc::new(Limited { limits, counters })
        });
        let seed = RandomState::new().hash_one(0);
        Self {
            tenant_header: settings.tenant_header.clone(),
            tenant_attribute: settings.tenant_attribute.clone(),
            tags,
            limits,
            begun: Arc::new(PartlyStored::new(seed, counters.counter(PARTLY_STORED, &[]))),
        }
    }

    /// Which tenant a request is of, by its headers. `tenant` is known from elsewhere and counts
    /// more than a header, which anyone can write.
    ///
    /// # Errors
    /// The header does not name a tenant, or the tenant has to wait: what the length in the header
    /// says has no room now.
    pub(super) fn origin(
        &self,
        headers: &HeaderMap,
        tenant: Option<Arc<str>>,
    ) -> Result<RequestOrigin, Refusal> {
        let mut origin = RequestOrigin { tenant, header: None };
        if let (Some(name), None) = (&self.tenant_header, &origin.tenant) {
            origin.tenant = tenant_of(headers, name)?;
        }
        if let Some(TagFrom::Header(name)) = &self.tags.from {
            origin.header = headers.get(name).map(|value| value.as_bytes().to_vec());
        }
        if let Some(limited) = &self.limits {
            let tenant = origin.tenant.as_deref().unwrap_or_default();
            let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
            let bytes = length.and_then(|length| length.parse().ok()).unwrap_or(0);
            limited
                .limits
                .check(tenant, bytes, clock::now())
                .map_err(|wait| limited.refuse(tenant, wait))?;
        }
        Ok(origin)
    }

    /// Turns a request into events: takes its room in the tenant's bucket, sets the tenant, finds
    /// the tags, transcodes. Afterwards `held` is what the events take.
    pub(super) fn run(
        &self,
        transcoder: &Transcoder,
        signal: Signal,
        request: &[u8],
        origin: &RequestOrigin,
        held: &mut HeldMemory,
    ) -> Result<RoutedRequest, Refusal> {
        let charge = self.charge(origin, request.len())?;
        let by_resource = matches!(self.tags.from, Some(TagFrom::Resource(_)));
        let done = if self.tenant_attribute.is_none() && !by_resource {
            let tag = self.tag(signal, origin);
            transcoder
                .run(signal, request, held)
                .map(|(done, out)| (done, out, TagRoute::Whole(tag)))
        } else {
            self.rewrite(transcoder, signal, request, origin, held)
        };
        match done {
            Ok((transcoded, events, route)) => {
                Ok(RoutedRequest { transcoded, events, route, charge })
            }
            Err(refusal) => {
                if !refusal.is_retryable() {
                    charge.lose();
                }
                Err(refusal)
            }
        }
    }

    fn charge(&self, origin: &RequestOrigin, bytes: usize) -> Result<Charge, Refusal> {
        let Some(limited) = &self.limits else { return Ok(Charge::default()) };
        let tenant = origin.tenant.clone().unwrap_or_default();
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        limited
            .limits
            .take(&tenant, bytes, clock::now())
            .map_err(|wait| limited.refuse(&tenant, wait))?;
        Ok(Charge(Some((Arc::clone(limited), tenant, bytes))))
    }

    /// The tag of a whole request.
    fn tag(&self, signal: Signal, origin: &RequestOrigin) -> Tag {
        match &self.tags.from {
            None => self.tags.plain(signal),
            Some(TagFrom::Resource(_)) => self.tags.of(signal, None),
            Some(TagFrom::Header(_)) => self.tags.of(signal, origin.header.as_deref()),
            Some(TagFrom::Tenant) => {
                self.tags.of(signal, origin.tenant.as_deref().map(str::as_bytes))
            }
        }
    }

    /// The way of requests that are changed or looked into. What is wrong with one is reported of
    /// the request as it came, not of what became of it here.
    fn rewrite(
        &self,
        transcoder: &Transcoder,
        signal: Signal,
        request: &[u8],
        origin: &RequestOrigin,
        held: &mut HeldMemory,
    ) -> Result<(Transcoded, Vec<u8>, TagRoute), Refusal> {
        let rewritten = self.stamped(signal, request, origin, held).and_then(|stamped| {
            let request = stamped.as_deref().unwrap_or(request);
            self.parts(transcoder, signal, request, origin, held)
        });
        match rewritten {
            Ok((mut done, events, route)) => {
                if done.reason.is_some()
                    && let Ok((original, _)) = transcoder.run(signal, request, held)
                {
                    done.reason = original.reason.or(done.reason);
                }
                held.settle(events.capacity());
                Ok((done, events, route))
            }
            Err(Refusal::Malformed(message)) => match transcoder.run(signal, request, held) {
                Err(refusal @ Refusal::Malformed(_)) => Err(refusal),
                _ => Err(Refusal::Malformed(message)),
            },
            Err(refusal) => Err(refusal),
        }
    }

    fn stamped(
        &self,
        signal: Signal,
        request: &[u8],
        origin: &RequestOrigin,
        held: &mut HeldMemory,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(key) = &self.tenant_attribute else { return Ok(None) };
        held.grow(request.len())?;
        let profiles = signal == Signal::Profiles;
        let stamp = TenantAttribute { key, value: origin.tenant.as_deref(), profiles };
        stamp.apply(request).map(Some).map_err(malformed)
    }

    fn parts(
        &self,
        transcoder: &Transcoder,
        signal: Signal,
        request: &[u8],
        origin: &RequestOrigin,
        held: &mut HeldMemory,
    ) -> Result<(Transcoded, Vec<u8>, TagRoute), Refusal> {
        let pieces = match &self.tags.from {
            // The profiles of a request share a dictionary, so they stay together.
            Some(TagFrom::Resource(key)) if signal != Signal::Profiles => {
                held.grow(request.len())?;
                split(request, |envelope| {
                    let value = resource::attribute(envelope, key)?;
                    Ok(self.tags.of(signal, value.as_deref()))
                })
                .map_err(malformed)?
            }
            _ => RequestPieces::Whole(self.tag(signal, origin)),
        };
        let pieces = match pieces {
            RequestPieces::Whole(tag) => {
                let (done, events) = transcoder.run(signal, request, held)?;
                return Ok((done, events, TagRoute::Whole(tag)));
            }
            RequestPieces::Parts(pieces) => pieces,
        };
        let mut events = transcoder.reserve(signal, request, held)?;
        let mut done = Transcoded::default();
        let mut parts = Vec::with_capacity(pieces.len());
        for (tag, piece) in pieces {
            let part = transcoder.append(signal, &piece, &mut events)?;
            parts.push(TagPart { tag, records: part.records, end: events.len() });
            done.events = done.events.saturating_add(part.events);
            done.records = done.records.saturating_add(part.records);
            done.items = done.items.saturating_add(part.items);
            done.rejected = done.rejected.saturating_add(part.rejected);
            done.lost_fields = done.lost_fields.max(part.lost_fields);
            done.reason = done.reason.or(part.reason);
        }
        let digest = self.begun.digest(request, parts.iter().map(|part| &part.tag));
        let begun = Arc::clone(&self.begun);
        Ok((done, events, TagRoute::Split(Box::new(SplitEvents { parts, digest, begun }))))
    }
}

fn malformed(error: crate::codec::wire::WireError) -> Refusal {
    Refusal::Malformed(format!("the request is not OTLP: {error}"))
}

/// The tenant that a header names. An empty header names none.
fn tenant_of(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Arc<str>>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or("\0").trim();
    if values.next().is_some() || text.len() > MAX_TENANT_LENGTH || text.contains('\0') {
        return Err(Refusal::Malformed(format!(
            "the header '{name}' does not name a tenant; allowed: one header of up to \
             {MAX_TENANT_LENGTH} visible ASCII characters"
        )));
    }
    Ok((!text.is_empty()).then(|| Arc::from(text)))
}
