//! Names of services, of which only so many are remembered.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

/// The most services whose names are remembered, and the most bytes of a name. Others are one.
const MAX_SERVICES: u16 = 1000;
const LONGEST_NAME: usize = 256;
const OTHER: &str = "_OTHER";

/// The number of a service's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ServiceNumber(u16);

impl ServiceNumber {
    /// Of those that have no name, or none of ours.
    const OTHER: Self = Self(0);
}

/// Names of services, by numbers.
#[derive(Debug)]
pub(super) struct ServiceNames {
    numbers: HashMap<Arc<str>, ServiceNumber, RandomState>,
    names: Vec<Arc<str>>,
}

impl Default for ServiceNames {
    fn default() -> Self {
        Self { numbers: HashMap::default(), names: vec![OTHER.into()] }
    }
}

impl ServiceNames {
    /// The number of this name.
    pub(super) fn number(&mut self, name: &str) -> ServiceNumber {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        match u16::try_from(self.names.len()) {
            Ok(next) if next <= MAX_SERVICES && name.len() <= LONGEST_NAME && !name.is_empty() => {
                let name: Arc<str> = name.into();
                self.names.push(Arc::clone(&name));
                self.numbers.insert(name, ServiceNumber(next));
                ServiceNumber(next)
            }
            _ => ServiceNumber::OTHER,
        }
    }

    pub(super) fn name(&self, number: ServiceNumber) -> &str {
        self.names.get(usize::from(number.0)).map_or(OTHER, |name| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded() {
        let mut names = ServiceNames::default();
        let shop = names.number("shop");
        assert_eq!((names.number("shop"), names.name(shop)), (shop, "shop"));
        for name in ["", &*"x".repeat(257)] {
            assert_eq!(names.number(name), ServiceNumber::OTHER);
        }
        for number in 0..2000 {
            names.number(&format!("service-{number}"));
        }
        assert_eq!(names.names.len(), usize::from(MAX_SERVICES) + 1);
        let beyond = names.number("one more");
        assert_eq!(names.name(beyond), "_OTHER");
        assert_eq!(names.number("shop"), shop);
    }
}
