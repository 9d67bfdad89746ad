//! Enums in JSON are open, as protobuf has them: a value that is known is written as its name, another as its number, and
//! both are read. `build.rs` puts these into the generated code, whose own forms fail where a value is not known.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Error, SeqAccess, Visitor, value::StrDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A field's value, to be written.
pub(crate) struct Open<E> {
    number: i32,
    of: PhantomData<E>,
}

impl<E> From<i32> for Open<E> {
    fn from(number: i32) -> Self {
        Self { number, of: PhantomData }
    }
}

impl<E: TryFrom<i32> + Serialize> Serialize for Open<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match E::try_from(self.number) {
            Ok(known) => known.serialize(serializer),
            Err(_) => serializer.serialize_i32(self.number),
        }
    }
}

/// Reads the value of a field: a name that is known, or any number. What is wrong is said with the field's name.
pub(crate) struct Value<E> {
    field: &'static str,
    of: PhantomData<E>,
}

impl<E> Value<E> {
    pub(crate) fn of(field: &'static str) -> Self {
        Self { field, of: PhantomData }
    }

    fn number<N: TryInto<i32>, F: Error>(&self, number: N) -> Result<i32, F> {
        number.try_into().map_err(|_| self.unknown())
    }

    fn unknown<F: Error>(&self) -> F {
        F::custom(format_args!("unknown variant of `{}`", self.field))
    }
}

impl<'de, E: Deserialize<'de> + Into<i32>> DeserializeSeed<'de> for Value<E> {
    type Value = i32;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<i32, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, E: Deserialize<'de> + Into<i32>> Visitor<'de> for Value<E> {
    type Value = i32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a value, or its number")
    }

    fn visit_i64<F: Error>(self, number: i64) -> Result<i32, F> {
        self.number(number)
    }

    fn visit_u64<F: Error>(self, number: u64) -> Result<i32, F> {
        self.number(number)
    }

    fn visit_str<F: Error>(self, name: &str) -> Result<i32, F> {
        let known = E::deserialize(StrDeserializer::<serde::de::value::Error>::new(name));
        known.map(Into::into).map_err(|_| self.unknown())
    }
}

/// Reads the values of a repeated field.
pub(crate) struct Values<E>(Value<E>);

impl<E> Values<E> {
    pub(crate) fn of(field: &'static str) -> Self {
        Self(Value::of(field))
    }
}

impl<'de, E: Deserialize<'de> + Into<i32>> DeserializeSeed<'de> for Values<E> {
    type Value = Vec<i32>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<i32>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, E: Deserialize<'de> + Into<i32>> Visitor<'de> for Values<E> {
    type Value = Vec<i32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<i32>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(Value::<E>::of(self.0.field))? {
            values.push(value);
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use crate::frame::to_json;
    use crate::v1::session_response::Kind;
    use crate::v1::{self, NotificationFilter, SessionRequest, SessionResponse};

    /// What the JSON of this push is, and that it reads as it was.
    fn json(kind: Kind) -> serde_json::Value {
        let response = SessionResponse { command_id: 7, kind: Some(kind) };
        let text = to_json(&response.encode_to_vec());
        assert_eq!(serde_json::from_slice::<SessionResponse>(&text).unwrap(), response);
        serde_json::from_slice(&text).unwrap()
    }

    #[test]
    fn a_value_that_is_not_known_is_its_number_and_the_frame_keeps_the_rest() {
        let left = |reason| json(Kind::Left(v1::Left { room: "room:a".to_owned(), reason }));
        let json_of = |reason: &str| {
            let text = format!(r#"{{"commandId": 7, "left": {{"room": "room:a", "reason": {reason}}}}}"#);
            serde_json::from_str::<serde_json::Value>(&text).unwrap()
        };
        assert_eq!(left(1), json_of("\"LEAVE_REASON_COMMAND\""));
        assert_eq!(left(99), json_of("99"));
        assert_eq!(left(-1), json_of("-1"));
    }

    #[test]
    fn lists_of_values_are_open_too() {
        let filter = NotificationFilter { priorities: vec![4, 0, 99], ..Default::default() };
        let text = serde_json::to_string(&filter).unwrap();
        let named = r#"["NOTIFICATION_PRIORITY_CRITICAL","NOTIFICATION_PRIORITY_UNSPECIFIED",99]"#;
        assert_eq!(text, format!(r#"{{"priorities":{named}}}"#));
        assert_eq!(serde_json::from_str::<NotificationFilter>(&text).unwrap(), filter);
    }

    #[test]
    fn numbers_and_names_are_read_and_a_name_that_is_not_known_is_refused_with_its_field() {
        let read = |role: &str| {
            let text = format!(
                r#"{{"commandId": 3, "memberAdd": {{"room": "a:b", "user": "bob", "role": {role}}}}}"#
            );
            serde_json::from_str::<SessionRequest>(&text).map(|request| match request.command {
                Some(v1::session_request::Command::MemberAdd(add)) => add.role,
                other => panic!("{other:?}"),
            })
        };
        assert_eq!(read("\"ROLE_MEMBER\"").unwrap(), 3);
        assert_eq!((read("3").unwrap(), read("99").unwrap(), read("-1").unwrap()), (3, 99, -1));
        for role in ["\"ROLE_KING\"", "\"\"", "2147483648"] {
            let said = read(role).unwrap_err().to_string();
            assert!(said.starts_with("unknown variant of `role`"), "{role}: {said}");
        }
        for role in ["true", "{}", "[3]", "1.5"] {
            assert!(read(role).is_err(), "{role}");
        }
    }
}
