// SPDX-License-Identifier: Apache-2.0
//! Lists and objects as systems send them, decoded item by item.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor,
        value::MapAccessDeserializer,
    },
};

/// What is made of a list, item by item, while it is decoded: of a list of thousands only the sums need to stay.
pub trait FromItems<'de>: Default {
    /// An item of the list.
    type Item: Deserialize<'de>;

    /// Takes in one item.
    ///
    /// # Errors
    /// Why it cannot be meant as an item.
    fn add(&mut self, item: Self::Item) -> Result<(), &'static str>;

    /// Takes in an object that stands where the list is expected: the one item there is.
    ///
    /// # Errors
    /// Why it cannot be meant as an item.
    fn add_the_only_one(&mut self, item: Self::Item) -> Result<(), &'static str> {
        self.add(item)
    }
}

impl<'de, T: Deserialize<'de>> FromItems<'de> for Vec<T> {
    type Item = T;

    fn add(&mut self, item: T) -> Result<(), &'static str> {
        self.push(item);
        Ok(())
    }
}

/// What is made of a list. The list may be missing, `null` or `""` where there is nothing in it, and a
/// single object where there is one item in it. An object whose keys are numbers is a list as well: so
/// PHP writes one from which items were removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Items<T>(pub T);

impl<'de, T: FromItems<'de>> Deserialize<'de> for Items<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemsVisitor<T>(T);
        impl<'de, T: FromItems<'de>> Visitor<'de> for ItemsVisitor<T> {
            type Value = Items<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_unit<E: Error>(self) -> Result<Items<T>, E> {
                Ok(Items(self.0))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Items<T>, E> {
                if value.trim().is_empty() {
                    Ok(Items(self.0))
                } else {
                    Err(E::custom("not a list"))
                }
            }

            fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Items<T>, A::Error> {
                let first = map.next_key::<Key<'_>>()?;
                if first.as_ref().is_some_and(Key::is_index) {
                    loop {
                        self.0.add(map.next_value()?).map_err(A::Error::custom)?;
                        match map.next_key::<Key<'_>>()? {
                            None => return Ok(Items(self.0)),
                            Some(key) if key.is_index() => {}
                            Some(_) => {
                                return Err(A::Error::custom("neither a list nor an object"));
                            }
                        }
                    }
                }
                let map = MapAccessDeserializer::new(Begun { first, rest: map });
                let item = T::Item::deserialize(map)?;
                self.0.add_the_only_one(item).map_err(A::Error::custom)?;
                Ok(Items(self.0))
            }

            fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Items<T>, A::Error> {
                while let Some(item) = seq.next_element()? {
                    self.0.add(item).map_err(A::Error::custom)?;
                }
                Ok(Items(self.0))
            }
        }
        deserializer.deserialize_any(ItemsVisitor(T::default()))
    }
}

/// A key of an object, in place where it can be: a plain [`Cow`] would always be copied.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl Key<'_> {
    fn is_index(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|byte| byte.is_ascii_digit())
    }
}

/// An object of which the first key was read already.
struct Begun<'de, A> {
    first: Option<Key<'de>>,
    rest: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Begun<'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        match self.first.take() {
            Some(Key(key)) => seed.deserialize(key.into_deserializer()).map(Some),
            None => self.rest.next_key_seed(seed),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.rest.next_value_seed(seed)
    }
}

/// A list of which every item is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Items::deserialize(deserializer).map(|Items(items)| Self(items))
    }
}

/// An object and nothing else: a derived decoder alone would also take a list of its fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}
