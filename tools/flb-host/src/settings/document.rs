//! The shape of the file.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A property's value: a list repeats the property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PropertyValue {
    /// A scalar, as text.
    One(String),
    /// A list of scalars.
    Many(Vec<String>),
}

/// Properties in the order of the file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Section {
    /// Names and values.
    pub(crate) options: Vec<(String, PropertyValue)>,
    /// The filters of `processors: logs:`.
    pub(crate) processors: Vec<Section>,
}

/// The lists of the pipeline.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Pipeline {
    pub(crate) inputs: Vec<Section>,
    pub(crate) filters: Vec<Section>,
    pub(crate) outputs: Vec<Section>,
}

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Document {
    pub(crate) service: Section,
    pub(crate) plugins: Vec<String>,
    pub(crate) pipeline: Pipeline,
}

/// Reads the file. Only `true` and `false` are booleans, so that `on` stays what it is.
///
/// # Errors
/// The parser's message, with the place.
pub(crate) fn parse(text: &str) -> Result<Document, String> {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

impl Section {
    /// A section with these properties.
    #[cfg(test)]
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        let option = |(name, value): &(&str, &str)| {
            ((*name).to_owned(), PropertyValue::One((*value).to_owned()))
        };
        Self { options: pairs.iter().map(option).collect(), processors: Vec::new() }
    }

    /// Every name and value, a list's one by one.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.options.iter().flat_map(|(name, value)| {
            let values = match value {
                PropertyValue::One(one) => std::slice::from_ref(one),
                PropertyValue::Many(many) => many.as_slice(),
            };
            values.iter().map(move |value| (name.as_str(), value.as_str()))
        })
    }

    /// The last value of a property, whatever the case of its name.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.pairs()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .last()
            .map(|(_, value)| value.to_owned())
    }

    fn expand(&mut self, expand: &dyn Fn(&str) -> String) {
        for (_, value) in &mut self.options {
            match value {
                PropertyValue::One(one) => *one = expand(one),
                PropertyValue::Many(many) => many.iter_mut().for_each(|one| *one = expand(one)),
            }
        }
        self.processors.iter_mut().for_each(|section| section.expand(expand));
    }
}

impl Document {
    /// Applies `expand` to every value.
    pub(crate) fn expand(&mut self, expand: &dyn Fn(&str) -> String) {
        self.service.expand(expand);
        self.plugins.iter_mut().for_each(|path| *path = expand(path));
        let Pipeline { inputs, filters, outputs } = &mut self.pipeline;
        for section in inputs.iter_mut().chain(filters).chain(outputs) {
            section.expand(expand);
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Processors {
    #[serde(default)]
    logs: Vec<Section>,
}

struct SectionVisitor;

impl<'de> Visitor<'de> for SectionVisitor {
    type Value = Section;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map of properties")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Section, A::Error> {
        let mut section = Section::default();
        while let Some(name) = map.next_key::<String>()? {
            if name == "processors" {
                section.processors = map.next_value::<Processors>()?.logs;
            } else {
                let value = map.next_value::<PropertyValue>()?;
                section.options.push((name, value));
            }
        }
        Ok(section)
    }
}

impl<'de> Deserialize<'de> for Section {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(SectionVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = PropertyValue;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a scalar or a list of scalars")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<PropertyValue, E> {
        Ok(PropertyValue::One(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<PropertyValue, E> {
        Ok(PropertyValue::One(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<PropertyValue, E> {
        Ok(PropertyValue::One(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<PropertyValue, E> {
        Ok(PropertyValue::One(value.to_string()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<PropertyValue, E> {
        Ok(PropertyValue::One(value.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<PropertyValue, E> {
        Ok(PropertyValue::One(String::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<PropertyValue, A::Error> {
        let mut many = Vec::new();
        while let Some(value) = list.next_element::<PropertyValue>()? {
            match value {
                PropertyValue::One(one) => many.push(one),
                PropertyValue::Many(_) => return Err(A::Error::custom("a list within a list")),
            }
        }
        Ok(PropertyValue::Many(many))
    }

    fn visit_map<A: MapAccess<'de>>(self, _map: A) -> Result<PropertyValue, A::Error> {
        Err(A::Error::custom("a map cannot be the value of a property"))
    }
}

impl<'de> Deserialize<'de> for PropertyValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ValueVisitor)
    }
}
