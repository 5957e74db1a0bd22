//! Resource attributes before they are in a record.

use crate::codec::msgpack;

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// A text.
    Text(String),
    /// An integer.
    Int(i64),
    /// A list of texts.
    List(Vec<String>),
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// An attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its name by the semantic conventions.
    pub key: String,
    /// Its value.
    pub value: AttributeValue,
}

/// Attributes in the order in which they were found, each key once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResourceAttributes(Vec<Attribute>);

impl ResourceAttributes {
    /// Adds a text, unless it is empty or the key is there: the first detector that knows it counts.
    pub fn text(&mut self, key: &str, text: &str) {
        let text = text.trim();
        if !text.is_empty() {
            self.add(key, text.into());
        }
    }

    /// Adds a value, unless the key is there.
    pub fn add(&mut self, key: &str, value: AttributeValue) {
        if self.get(key).is_none() {
            self.0.push(Attribute { key: key.to_owned(), value });
        }
    }

    /// The value under a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&AttributeValue> {
        self.0.iter().find(|attribute| attribute.key == key).map(|attribute| &attribute.value)
    }

    /// The text under a key.
    #[must_use]
    pub fn text_of(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            AttributeValue::Text(text) => Some(text),
            AttributeValue::Int(_) | AttributeValue::List(_) => None,
        }
    }

    /// The attributes, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Attribute> {
        self.0.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }
}

impl AttributeValue {
    /// Appends the value as records have it.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => msgpack::str(out, text),
            Self::Int(number) => msgpack::int(out, *number),
            Self::List(texts) => {
                msgpack::array_header(out, u32::try_from(texts.len()).unwrap_or(0));
                texts.iter().for_each(|text| msgpack::str(out, text));
            }
        }
    }
}
