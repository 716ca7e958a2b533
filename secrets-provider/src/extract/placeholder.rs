//! Values that stand in for wrong and missing ones: serde ends its walk at the first problem, so the next walk hands
//! out something of the type in its place and goes on to what is behind it. What comes of such a walk is thrown away.

use std::str::FromStr;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::context::Context;
use super::error::{Failure, Problem};
use super::numbers::numbers;
use crate::extract::key;

/// Texts that types want which do not take every text: addresses, URLs, durations, identifiers, dates.
const TEXTS: [&str; 9] = [
    "",
    "1",
    "1s",
    "127.0.0.1",
    "127.0.0.1:1",
    "http://localhost",
    "00000000-0000-0000-0000-000000000001",
    "2000-01-01",
    "2000-01-01T00:00:00Z",
];

/// How deep a type may be made up; one that holds itself has no end.
const MAX_DEPTH: usize = 32;

/// Something of the type that a seed is for. A type that refuses what it is offered is offered another thing on the
/// next walk; the error says nothing more when it has refused them all.
pub(super) fn stand_in<'de, S: DeserializeSeed<'de>>(
    seed: S,
    depth: usize,
    context: &Context<'_>,
) -> Result<S::Value, Failure> {
    let name = std::any::type_name::<S::Value>();
    let attempt = context.attempt(name);
    if attempt >= TEXTS.len() || depth > MAX_DEPTH {
        return Err(Failure::Reported);
    }
    seed.deserialize(StandIn { attempt, depth, context }).map_err(|failure| {
        if matches!(failure, Failure::Unplaced(_)) {
            context.refused(name);
        }
        Failure::Reported
    })
}

/// The deserializer of such a value, and serde's access to what is in it.
#[derive(Clone, Copy)]
struct StandIn<'a> {
    attempt: usize,
    depth: usize,
    context: &'a Context<'a>,
}

impl StandIn<'_> {
    fn text(self) -> &'static str {
        TEXTS[self.attempt]
    }

    fn number<T: FromStr, R>(
        self,
        _: &str,
        visit: impl FnOnce(T) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let number = if self.attempt == 0 { "0" } else { "1" };
        number.parse().map_or(Err(Failure::Unplaced(Problem::Refused)), visit)
    }

    fn inside<'de, S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Failure> {
        stand_in(seed, self.depth + 1, self.context)
    }
}

impl<'de> Deserializer<'de> for StandIn<'_> {
    type Error = Failure;

    numbers!();

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.attempt {
            0 => visitor.visit_unit(),
            2 => visitor.visit_u64(1),
            4 => visitor.visit_map(NoMembers),
            6 => visitor.visit_seq(Items { of: self, left: 0 }),
            _ => visitor.visit_str(self.text()),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_bool(self.attempt > 0)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_char('1')
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_str(self.text())
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_bytes(&[])
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_none()
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if name == key::NAME {
            // `Key<32>`: its length is nowhere else.
            let length = std::any::type_name::<V::Value>().rsplit('<').next();
            let length =
                length.and_then(|length| length.trim_end_matches('>').parse().ok()).unwrap_or(0);
            return visitor.visit_bytes(&vec![0; length]);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_seq(Items { of: self, left: 0 })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_seq(Items { of: self, left: length })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_map(NoMembers)
    }

    /// As a sequence: its fields in their order, as many as the type takes. The names would not tell, as aliases are
    /// among them.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_seq(Items { of: self, left: usize::MAX })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        // Another one further in, as one may hold the type itself.
        let next = (self.attempt + self.depth / 2).checked_rem(variants.len());
        match next.map(|next| variants[next]) {
            Some(variant) => visitor.visit_enum(Variant { of: self, name: variant }),
            None => Err(Failure::Unplaced(Problem::Refused)),
        }
    }

    forward_to_deserialize_any! { string byte_buf identifier ignored_any }
}

/// As many items as are asked for, up to a bound.
struct Items<'a> {
    of: StandIn<'a>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Failure;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Failure> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.of.inside(seed).map(Some)
    }
}

struct NoMembers;

impl<'de> MapAccess<'de> for NoMembers {
    type Error = Failure;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        _: S,
    ) -> Result<Option<S::Value>, Failure> {
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, _: S) -> Result<S::Value, Failure> {
        Err(Failure::Unplaced(Problem::Refused))
    }
}

struct Variant<'a> {
    of: StandIn<'a>,
    name: &'static str,
}

impl<'de, 'a> EnumAccess<'de> for Variant<'a> {
    type Error = Failure;
    type Variant = StandIn<'a>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, StandIn<'a>), Failure> {
        let name: StrDeserializer<'_, Failure> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self.of))
    }
}

impl<'de> VariantAccess<'de> for StandIn<'_> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Failure> {
        self.inside(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_struct("", fields, visitor)
    }
}
