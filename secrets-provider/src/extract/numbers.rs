//! serde's twelve number methods, written once for all deserializers of this room.
//!
//! Extraction, map keys and placeholders differ only in how they get a number, which each says in a
//! method `number`.

use std::str::FromStr;

/// A number that text may fill.
pub(super) trait Number: FromStr {
    /// The number that the text is; `None` if it is no number. An infinity is no number: neither
    /// `inf` nor `1e400`, which would silently become one.
    fn of(text: &str) -> Option<Self> {
        text.parse().ok().filter(Self::is_finite)
    }

    fn is_finite(&self) -> bool {
        true
    }
}

macro_rules! integers {
    ($($type:ident)*) => {$( impl Number for $type {} )*};
}

integers!(u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 bool);

impl Number for f32 {
    fn is_finite(&self) -> bool {
        Self::is_finite(*self)
    }
}

impl Number for f64 {
    fn is_finite(&self) -> bool {
        Self::is_finite(*self)
    }
}

/// Implements each number's method by a method `number` of the deserializer, which takes the type's
/// name and what to call with the number.
macro_rules! numbers {
    () => {
        numbers! {
            deserialize_u8 visit_u8 u8;
            deserialize_u16 visit_u16 u16;
            deserialize_u32 visit_u32 u32;
            deserialize_u64 visit_u64 u64;
            deserialize_u128 visit_u128 u128;
            deserialize_i8 visit_i8 i8;
            deserialize_i16 visit_i16 i16;
            deserialize_i32 visit_i32 i32;
            deserialize_i64 visit_i64 i64;
            deserialize_i128 visit_i128 i128;
            deserialize_f32 visit_f32 f32;
            deserialize_f64 visit_f64 f64;
        }
    };
    ($($method:ident $visit:ident $type:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
            self.number(stringify!($type), |number: $type| visitor.$visit(number))
        }
    )*};
}

pub(super) use numbers;
