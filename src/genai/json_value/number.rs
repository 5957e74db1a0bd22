//! Numbers of JSON.

use serde::{Serialize, Serializer};

/// A number of JSON, finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Of no sign.
    Uint(u64),
    /// Below zero.
    Int(i64),
    /// With a fraction or an exponent, or too large for the others.
    Float(f64),
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::Uint(value)
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        u64::try_from(value).map_or(Self::Int(value), Self::Uint)
    }
}

impl Number {
    /// The number, if it is a whole one in range.
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Self::Uint(value) => i64::try_from(value).ok(),
            Self::Int(value) => Some(value),
            Self::Float(_) => None,
        }
    }

    /// The nearest double.
    pub fn as_f64(self) -> Option<f64> {
        match self {
            Self::Uint(value) => serde_json::Number::from(value).as_f64(),
            Self::Int(value) => serde_json::Number::from(value).as_f64(),
            Self::Float(value) => Some(value),
        }
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Uint(value) => serializer.serialize_u64(value),
            Self::Int(value) => serializer.serialize_i64(value),
            Self::Float(value) => serializer.serialize_f64(value),
        }
    }
}
