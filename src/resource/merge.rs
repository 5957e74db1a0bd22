//! Merge: attributes of ours into the attributes of a resource.

use std::borrow::Cow;

use super::attribute::ResourceAttributes;
use super::entity::Entities;
use crate::codec::msgpack::{MapView, int_of, text_of};
use crate::codec::records::edit::{Edit, Pairs, rewrite_map};

/// An attribute that may be added: encoded, with what it describes.
#[derive(Debug, Clone)]
struct Addition {
    key: Vec<u8>,
    value: Vec<u8>,
    entity: Entities,
    identified: Entities,
}

/// Attributes that may be added to resources.
#[derive(Debug, Clone, Default)]
pub(super) struct Additions(Vec<Addition>);

/// What became of a map of attributes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Merged {
    /// The map, if it is another one.
    pub(super) map: Option<Vec<u8>>,
    /// Whether attributes were left out because the resource is of something else.
    pub(super) withheld: bool,
}

impl From<&ResourceAttributes> for Additions {
    fn from(attributes: &ResourceAttributes) -> Self {
        let mut additions = Self::default();
        for attribute in attributes.iter() {
            let mut value = Vec::new();
            attribute.value.write(&mut value);
            additions.push(attribute.key.as_bytes(), value);
        }
        additions
    }
}

impl Additions {
    /// Adds an attribute whose value is encoded.
    pub(super) fn push(&mut self, key: &[u8], value: Vec<u8>) {
        let (entity, identified) = (Entities::of(key), Entities::identified_by(key));
        self.0.push(Addition { key: key.to_vec(), value, entity, identified });
    }

    /// Whether there is none.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds them to a map of attributes: what stands there stays, unless `overrides`.
    pub(super) fn merge(&self, attributes: &[u8], overrides: bool) -> Merged {
        let there = MapView::new(attributes);
        let others = if overrides { Entities::NONE } else { self.others(there) };
        let replaces = |addition: &Addition, value: &[u8]| {
            (overrides || says_nothing(&addition.key, value)) && !equal(&addition.value, value)
        };
        let (mut append, mut replaced, mut withheld) = (Pairs::new(), Vec::new(), false);
        for addition in &self.0 {
            match there.get(&addition.key) {
                None if addition.entity.meets(others) => withheld = true,
                None => append.push(&addition.key, &addition.value),
                // Of our service where the resource is of another pod.
                Some(_) if addition.entity.meets(others) => {}
                Some(value) if replaces(addition, value) => replaced.push(addition),
                Some(_) => {}
            }
        }
        if append.is_empty() && replaced.is_empty() {
            return Merged { map: None, withheld };
        }
        let mut out = Vec::with_capacity(attributes.len().saturating_add(append.encoded().len()));
        rewrite_map(
            attributes,
            &mut out,
            |entry| match replaced.iter().find(|addition| addition.key == entry.key) {
                Some(addition) => Edit::Value(Cow::Borrowed(&addition.value)),
                None => Edit::Keep,
            },
            &append,
        );
        Merged { map: Some(out), withheld }
    }

    /// What the resource is of that is not ours.
    fn others(&self, there: MapView<'_>) -> Entities {
        let differs = |addition: &&Addition| {
            addition.identified != Entities::NONE
                && there.get(&addition.key).is_some_and(|value| {
                    !says_nothing(&addition.key, value) && !equal(&addition.value, value)
                })
        };
        let differing = self.0.iter().filter(differs);
        differing.fold(Entities::NONE, |others, addition| others.and(addition.identified))
    }
}

/// Whether a value is what an SDK writes where it was told nothing: Resource semantic conventions, "Service".
fn says_nothing(key: &[u8], value: &[u8]) -> bool {
    key == b"service.name" && text_of(value).is_some_and(|name| name.starts_with("unknown_service"))
}

/// Whether two encoded values are the same, in any of their encodings.
fn equal(one: &[u8], other: &[u8]) -> bool {
    one == other
        || text_of(one).is_some_and(|text| text_of(other) == Some(text))
        || int_of(one).is_some_and(|number| int_of(other) == Some(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack;
    use proptest::prelude::*;

    fn map(pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut all = Pairs::new();
        pairs.iter().for_each(|(key, value)| all.text(key, value));
        let mut out = Vec::new();
        all.write_map(&mut out);
        out
    }

    fn additions(pairs: &[(&str, &str)]) -> Additions {
        let mut attributes = ResourceAttributes::default();
        pairs.iter().for_each(|(key, value)| attributes.text(key, value));
        Additions::from(&attributes)
    }

    const OURS: [(&str, &str); 7] = [
        ("service.name", "shop"),
        ("k8s.pod.name", "shop-0"),
        ("k8s.namespace.name", "store"),
        ("k8s.node.name", "node-1"),
        ("host.name", "shop-0"),
        ("cloud.provider", "aws"),
        ("team", "a"),
    ];

    #[test]
    fn what_the_sender_says_stays() {
        let sender = map(&[("service.name", "mine"), ("team", "b"), ("x", "y")]);
        let merged = additions(&OURS).merge(&sender, false);
        let expected = map(&[
            ("service.name", "mine"),
            ("team", "b"),
            ("x", "y"),
            ("k8s.pod.name", "shop-0"),
            ("k8s.namespace.name", "store"),
            ("k8s.node.name", "node-1"),
            ("host.name", "shop-0"),
            ("cloud.provider", "aws"),
        ]);
        assert_eq!(merged, Merged { map: Some(expected), withheld: false });
        let overridden = additions(&OURS[..1]).merge(&map(&[("service.name", "mine")]), true);
        assert_eq!(overridden.map, Some(map(&OURS[..1])));
    }

    #[test]
    fn no_resource_describes_two_pods() {
        let sender = map(&[("k8s.pod.name", "cart-1"), ("service.name", "unknown_service:java")]);
        let merged = additions(&OURS).merge(&sender, false);
        let expected = map(&[
            ("k8s.pod.name", "cart-1"),
            ("service.name", "unknown_service:java"),
            ("host.name", "shop-0"),
            ("cloud.provider", "aws"),
            ("team", "a"),
        ]);
        assert_eq!(merged, Merged { map: Some(expected), withheld: true });
        let other_service = [("service.name", "shop"), ("service.version", "2")];
        let merged = additions(&other_service).merge(&map(&[("service.name", "cart")]), false);
        assert_eq!(merged, Merged { map: None, withheld: true });
        let other_node = map(&[("k8s.node.name", "node-2")]);
        let merged = additions(&OURS).merge(&other_node, false).map.unwrap();
        assert!(MapView::new(&merged).get(b"k8s.pod.name").is_none());
        assert!(MapView::new(&merged).get(b"host.name").is_none());
        assert!(MapView::new(&merged).get(b"cloud.provider").is_some());
    }

    #[test]
    fn the_name_of_an_unknown_service_is_none() {
        let sender = map(&[("service.name", "unknown_service:python3"), ("a", "b")]);
        let merged = additions(&OURS[..1]).merge(&sender, false).map;
        assert_eq!(merged, Some(map(&[("service.name", "shop"), ("a", "b")])));
        assert_eq!(Additions::default().merge(&sender, true), Merged::default());
    }

    #[test]
    fn equal_values_are_equal_in_any_encoding() {
        let mut long = vec![0x81];
        msgpack::str(&mut long, "service.name");
        long.extend_from_slice(&[0xd9, 4]);
        long.extend_from_slice(b"shop");
        assert_eq!(additions(&OURS[..1]).merge(&long, true), Merged::default());
    }

    proptest! {
        /// Whatever a resource says, a second merge changes nothing, and without `overrides` no pair of it is
        /// lost or changed but the name of an unknown service.
        #[test]
        fn merging_twice_is_merging_once(
            sender in proptest::collection::vec((0..OURS.len(), 0..3_u8), 0..8), overrides in any::<bool>(),
        ) {
            let pairs: Vec<(&str, &str)> = sender
                .iter()
                .map(|(index, value)| (OURS[*index].0, match value {
                    0 => OURS[*index].1,
                    1 => "other",
                    _ => "unknown_service",
                }))
                .collect();
            let ours = additions(&OURS);
            let before = map(&pairs);
            let once = ours.merge(&before, overrides).map.unwrap_or_else(|| before.clone());
            prop_assert_eq!(ours.merge(&once, overrides).map, None);
            if !overrides {
                for entry in MapView::new(&before).filter(|entry| entry.key != b"service.name") {
                    prop_assert!(MapView::new(&once).any(|other| other.raw == entry.raw));
                }
            }
        }
    }
}
