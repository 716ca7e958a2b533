//! serde's twelve number methods, written once for all deserializers of this room.
//!
//! Extraction, map keys and placeholders differ only in how they get a number, which each says in a method `number`.

/// Implements each number's method by a method `number` of the deserializer, which takes the type's name and what to
/// call with the number.
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
