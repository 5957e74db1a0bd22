//! Resource limits: what clients may cost in connections, streams, headers and time.

use std::time::Duration;

/// Limits of one receiver; what they come to under attack is in `docs/ai_otlp.md`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientLimits {
    /// Whether HTTP/2 is spoken, which OTLP/gRPC needs.
    pub http2: bool,
    /// Open connections at most. At the limit a new connection takes the place of the one that has
    /// been without a request for longest; if all have one, the new connection is closed.
    pub max_connections: Option<usize>,
    /// Calls at a time on one HTTP/2 connection.
    pub max_concurrent_streams: u32,
    /// Bytes of a request's headers, counted as in RFC 9113, section 6.5.2.
    pub max_header_size: u32,
    /// How long a new connection may take to the end of its first request's headers.
    pub header_timeout: Duration,
    /// How long a body may take to arrive.
    pub read_timeout: Duration,
    /// How long a connection may stay without a request.
    pub idle_timeout: Option<Duration>,
    /// How often an HTTP/2 connection is asked for a sign of life.
    pub keepalive_time: Option<Duration>,
    /// How long that sign may take.
    pub keepalive_timeout: Duration,
    /// After how long a client is asked to connect anew, so that load balancers can spread the
    /// connections again; a tenth more or less, so that not all come at once.
    pub max_connection_age: Option<Duration>,
    /// How long the requests of such a connection may still take.
    pub max_connection_age_grace: Duration,
    /// How long a request may wait for the host until its sender is asked to send again.
    pub queue_timeout: Duration,
}

#[cfg(test)]
impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            http2: true,
            max_connections: Some(1024),
            max_concurrent_streams: 256,
            max_header_size: 16 * 1024,
            header_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(30),
            idle_timeout: Some(Duration::from_secs(300)),
            keepalive_time: Some(Duration::from_secs(30)),
            keepalive_timeout: Duration::from_secs(20),
            max_connection_age: None,
            max_connection_age_grace: Duration::from_secs(30),
            // Exporters give up after ten seconds; they must hear from us before.
            queue_timeout: Duration::from_secs(5),
        }
    }
}

impl ClientLimits {
    /// The age at which connection number `id` ends: the same spread for every run, no two
    /// neighbours alike.
    pub(super) fn age_of(&self, id: u64) -> Option<Duration> {
        /// Multiples of the golden ratio lie evenly on a circle.
        const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;
        let thousandths = u32::try_from((id.wrapping_mul(STRIDE) >> 32) % 201).unwrap_or(0);
        let age = self.max_connection_age?;
        Some(age.saturating_mul(thousandths.saturating_add(900)).div_f64(1000.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_spread_around_the_limit() {
        let day = Duration::from_secs(86_400);
        let limits = ClientLimits { max_connection_age: Some(day), ..ClientLimits::default() };
        let ages: Vec<Duration> = (0..100).filter_map(|id| limits.age_of(id)).collect();
        assert!(ages.iter().all(|age| *age >= day.mul_f64(0.899) && *age <= day.mul_f64(1.101)));
        let mut different = ages.clone();
        different.sort();
        different.dedup();
        assert!(different.len() > 50, "{}", different.len());
        assert_eq!(ClientLimits::default().age_of(7), None);
    }
}
