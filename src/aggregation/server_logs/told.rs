//! Told services: those whose spans of model calls came lately.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::clock::Tick;
use crate::codec::msgpack::MapView;
use crate::codec::records::layout::keys;

/// Services that are remembered at most.
const MAX_SERVICES: usize = 1024;

/// What tells a service: hashes of its name and of its pod's; 0 where that is not said.
pub(super) type ServiceNames = [u64; 2];

/// The names that an encoded resource has.
pub(super) fn names_of(resource: &[u8]) -> ServiceNames {
    let attributes = MapView::new(resource).get(keys::ATTRIBUTES).unwrap_or_default();
    let mut names = [0; 2];
    for entry in MapView::new(attributes) {
        match entry.key {
            b"service.name" => names[0] = xxh3_64_with_seed(entry.value, 0),
            b"k8s.pod.name" => names[1] = xxh3_64_with_seed(entry.value, 1),
            _ => {}
        }
    }
    names
}

/// Services whose spans of model calls came, and when the last one did.
#[derive(Debug, Default)]
pub(super) struct ToldServices(Vec<(u64, Tick)>);

impl ToldServices {
    /// Notes that a span came. Where there is no room, the service goes whose last span came first.
    pub(super) fn note(&mut self, names: ServiceNames, now: Tick) {
        for name in names.into_iter().filter(|name| *name != 0) {
            if let Some((_, last)) = self.0.iter_mut().find(|(known, _)| *known == name) {
                *last = now;
            } else if self.0.len() < MAX_SERVICES {
                self.0.push((name, now));
            } else if let Some(oldest) = self.0.iter_mut().min_by_key(|(_, last)| *last) {
                *oldest = (name, now);
            }
        }
    }

    /// Whether spans of a service came within a window before now.
    pub(super) fn has(&self, names: ServiceNames, window: Duration, now: Tick) -> bool {
        let is_named = |name: u64| name != 0 && names.contains(&name);
        self.0.iter().any(|(name, last)| is_named(*name) && now.since(*last) <= window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_told_for_a_while() {
        let mut told = ToldServices::default();
        let window = Duration::from_secs(60);
        told.note([1, 0], Tick(1));
        assert!(told.has([1, 9], window, Tick(60_000_000_000)));
        assert!(!told.has([1, 9], window, Tick(61_000_000_000)));
        assert!(!told.has([0, 0], window, Tick(1)) && !told.has([2, 0], window, Tick(1)));
        for name in 2..3000 {
            told.note([0, name], Tick(name));
        }
        assert_eq!(told.0.len(), MAX_SERVICES);
        assert!(told.has([0, 2999], window, Tick(3000)) && !told.has([1, 2], window, Tick(3000)));
    }
}
