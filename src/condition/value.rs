//! Encoded msgpack as CEL values: maps are looked into lazily, the rest is converted on access.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use cel::ExecutionError;
use cel::common::traits;
use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
    MAP_TYPE, Type,
};
use cel::common::value::{CowVal, Val};

use super::item::ConditionRecord;
use super::part::EventOrLink;
use crate::codec::msgpack::{MapView, Reader, Token, elements};

/// How deep nested values are shown; what lies deeper is null.
const MAX_DEPTH: u32 = 32;

/// A value that may borrow from the record.
pub(super) type CelValue<'v> = Box<dyn Val + 'v>;

/// Text, also where it is not UTF-8.
pub(super) fn text(bytes: &[u8]) -> CelValue<'_> {
    Box::new(CelString::from(String::from_utf8_lossy(bytes)))
}

/// An integer.
pub(super) fn int<'v>(value: i64) -> CelValue<'v> {
    Box::new(CelInt::from(value))
}

/// A truth value.
pub(super) fn bool<'v>(value: bool) -> CelValue<'v> {
    Box::new(CelBool::from(value))
}

/// A map whose entries are read when they are asked for; what is not a map is an empty one.
pub(super) fn lazy_map(encoded: &[u8]) -> CelValue<'_> {
    Box::new(LazyMap { encoded, keys: OnceLock::new() })
}

/// Any encoded value, whole.
pub(super) fn value(encoded: &[u8]) -> CelValue<'_> {
    value_at(encoded, MAX_DEPTH)
}

fn value_at(encoded: &[u8], depth: u32) -> CelValue<'_> {
    let Some(below) = depth.checked_sub(1) else { return Box::new(CelNull) };
    match Reader::new(encoded).token() {
        Ok(Token::Bool(value)) => Box::new(CelBool::from(value)),
        Ok(Token::Uint(value)) => i64::try_from(value)
            .map_or_else(|_| -> CelValue<'_> { Box::new(CelUInt::from(value)) }, int),
        Ok(Token::Int(value)) => int(value),
        Ok(Token::Float(value)) => Box::new(CelDouble::from(value)),
        Ok(Token::Str(bytes)) => text(bytes),
        Ok(Token::Bin(bytes)) => Box::new(CelBytes::from(bytes)),
        Ok(Token::Array(_)) => {
            let items: Vec<CelValue<'_>> =
                elements(encoded).map(|item| value_at(item, below)).collect();
            Box::new(CelList::from(items))
        }
        Ok(Token::Map(_)) => Box::new(whole_map(encoded, below)),
        Ok(Token::Nil | Token::Ext(..)) | Err(_) => Box::new(CelNull),
    }
}

/// The first of several pairs with one key counts, as for lookups.
fn whole_map(encoded: &[u8], depth: u32) -> CelMap<'_> {
    let mut map: HashMap<CelMapKey<'_>, CelValue<'_>> = HashMap::new();
    for entry in MapView::new(encoded) {
        let key = CelMapKey::String(CelString::from(String::from_utf8_lossy(entry.key)));
        map.entry(key).or_insert_with(|| value_at(entry.value, depth));
    }
    CelMap::from(map)
}

fn no_such_key(key: &str) -> ExecutionError {
    ExecutionError::NoSuchKey(Arc::new(key.to_owned()))
}

fn key_of(key: &dyn Val) -> Result<&str, ExecutionError> {
    key.downcast_ref::<CelString<'_>>().map(CelString::inner).ok_or_else(|| {
        ExecutionError::UnexpectedType {
            got: key.get_type().name().to_owned(),
            want: "string".to_owned(),
        }
    })
}

/// An encoded map.
#[derive(Debug)]
struct LazyMap<'v> {
    encoded: &'v [u8],
    /// The keys as values, made when the map is iterated over.
    keys: OnceLock<Vec<CelString<'v>>>,
}

impl LazyMap<'_> {
    fn find(&self, key: &str) -> Option<&[u8]> {
        MapView::new(self.encoded).get(key.as_bytes())
    }
}

impl<'v> Val for LazyMap<'v> {
    fn get_type(&self) -> &Type {
        &MAP_TYPE
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_container(&self) -> Option<&dyn traits::Container> {
        Some(self)
    }

    fn as_indexer<'b, 'w>(&'b self) -> Option<&'b (dyn traits::Indexer + 'w)>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn as_iterable<'b, 'w>(&'b self) -> Option<&'b (dyn traits::Iterable + 'w)>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn traits::Sizer> {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        whole_map(self.encoded, MAX_DEPTH).equals(other)
    }

    fn clone_as_boxed<'w>(&self) -> CelValue<'w>
    where
        Self: 'w,
    {
        Box::new(LazyMap { encoded: self.encoded, keys: OnceLock::new() })
    }
}

impl traits::Container for LazyMap<'_> {
    fn contains(&self, key: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(self.find(key_of(key)?).is_some())
    }
}

impl<'v> traits::Indexer for LazyMap<'v> {
    fn get<'b, 'w>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'w>, ExecutionError>
    where
        Self: 'w,
    {
        let key = key_of(key)?;
        let found = MapView::new(self.encoded).get(key.as_bytes());
        found.map(|encoded| CowVal::Owned(value(encoded))).ok_or_else(|| no_such_key(key))
    }

    fn steal<'w>(self: Box<Self>, key: &dyn Val) -> Result<CelValue<'w>, ExecutionError>
    where
        Self: 'w,
    {
        let key = key_of(key)?;
        MapView::new(self.encoded).get(key.as_bytes()).map(value).ok_or_else(|| no_such_key(key))
    }
}

impl<'v> traits::Iterable for LazyMap<'v> {
    fn iter<'b, 'w>(&'b self) -> Box<dyn traits::Iterator<'b, 'w> + 'b>
    where
        Self: 'w,
    {
        let keys = self.keys.get_or_init(|| {
            MapView::new(self.encoded)
                .map(|entry| CelString::from(String::from_utf8_lossy(entry.key)))
                .collect()
        });
        Box::new(Keys(keys.iter()))
    }
}

impl traits::Sizer for LazyMap<'_> {
    fn size(&self) -> CelInt {
        CelInt::from(i64::from(MapView::new(self.encoded).len()))
    }
}

struct Keys<'b, 'v>(std::slice::Iter<'b, CelString<'v>>);

impl<'b, 'v: 'w, 'w> traits::Iterator<'b, 'w> for Keys<'b, 'v> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'w)> {
        let key = self.0.next()?;
        Some(key)
    }
}

/// A map with known keys.
#[expect(clippy::large_enum_variant, reason = "it lives in a box, for one evaluation")]
#[derive(Debug, Clone)]
pub(super) enum CelFields<'v> {
    /// One span of a trace, whose keys are the variables of an item.
    Span(ConditionRecord<'v>),
    /// An event or a link.
    EventOrLink(EventOrLink<'v>),
}

impl<'v> CelFields<'v> {
    fn field(&self, name: &str) -> Option<CelValue<'v>> {
        match self {
            Self::Span(record) => record.field(name),
            Self::EventOrLink(part) => part.field(name),
        }
    }
}

impl Val for CelFields<'_> {
    fn get_type(&self) -> &Type {
        &MAP_TYPE
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_container(&self) -> Option<&dyn traits::Container> {
        Some(self)
    }

    fn as_indexer<'b, 'w>(&'b self) -> Option<&'b (dyn traits::Indexer + 'w)>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn clone_as_boxed<'w>(&self) -> CelValue<'w>
    where
        Self: 'w,
    {
        Box::new(self.clone())
    }
}

impl traits::Container for CelFields<'_> {
    fn contains(&self, key: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(self.field(key_of(key)?).is_some())
    }
}

impl traits::Indexer for CelFields<'_> {
    fn get<'b, 'w>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'w>, ExecutionError>
    where
        Self: 'w,
    {
        let key = key_of(key)?;
        self.field(key).map(CowVal::Owned).ok_or_else(|| no_such_key(key))
    }

    fn steal<'w>(self: Box<Self>, key: &dyn Val) -> Result<CelValue<'w>, ExecutionError>
    where
        Self: 'w,
    {
        let key = key_of(key)?;
        self.field(key).ok_or_else(|| no_such_key(key))
    }
}
