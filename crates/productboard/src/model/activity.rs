//! Rows of the analytics route: one member on one date. The counters go straight into the domain's array, by the
//! domain's table of names, so that no second list of nineteen names exists.

use std::borrow::Cow;
use std::fmt;

use compact_str::CompactString;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use tidemark_domain::activity::{COUNTER_TABLE, Counters, MemberDay};
use tidemark_domain::member::Role;

use super::text::{self, Word};

/// So many fields of one row that are not known are named.
const MOST_UNKNOWN: usize = 50;

/// One member's day in one workspace. Nothing of it lies on the heap, but for names longer than usual and fields that
/// are not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    domain: Option<CompactString>,
    unknown: Vec<CompactString>,
    /// What the member did.
    pub row: MemberDay,
}

impl Activity {
    /// The workspace's domain, where it is told.
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// The names of fields that this version does not know.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        self.unknown.iter().map(CompactString::as_str)
    }
}

impl<'de> Deserialize<'de> for Activity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Row)
    }
}

struct Row;

impl<'de> Visitor<'de> for Row {
    type Value = Activity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's day")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Activity, A::Error> {
        let (mut day, mut domain, mut member_id, mut role, mut active_flag) = (None, None, None, None, None);
        let mut counters = Counters::default();
        let (mut next, mut unknown) = (0, Vec::new());
        while let Some(field) = map.next_key_seed(FieldSeed { next })? {
            match field {
                Field::Date => day = Some(map.next_value()?),
                Field::Domain => domain = map.next_value::<Option<Domain>>()?.map(|domain| domain.0),
                Field::MemberId => member_id = Some(map.next_value()?),
                Field::Role => role = Some(map.next_value::<WordOf<Role>>()?.0),
                Field::ActiveFlag => active_flag = Some(map.next_value()?),
                Field::Counter(at) => {
                    counters.0[at] = map.next_value()?;
                    next = at + 1;
                }
                Field::Unknown(name) => {
                    map.next_value::<IgnoredAny>()?;
                    if unknown.len() < MOST_UNKNOWN {
                        unknown.push(name);
                    }
                }
            }
        }
        let missing = A::Error::missing_field;
        let row = MemberDay {
            member_id: member_id.ok_or_else(|| missing("memberId"))?,
            day: day.ok_or_else(|| missing("date"))?,
            role: role.ok_or_else(|| missing("role"))?,
            active_flag: active_flag.ok_or_else(|| missing("activeFlag"))?,
            counters,
        };
        Ok(Activity { domain, unknown, row })
    }
}

/// A role.
struct WordOf<T>(T);

impl<'de, T: for<'a> From<&'a str>> Deserialize<'de> for WordOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Word::read(deserializer).map(Self)
    }
}

/// A workspace's domain.
struct Domain(CompactString);

impl<'de> Deserialize<'de> for Domain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let domain = CompactString::deserialize(deserializer)?;
        Ok(Self(match text::clean(&domain, text::WORD) {
            Cow::Borrowed(_) => domain,
            Cow::Owned(cleaned) => cleaned.into(),
        }))
    }
}

enum Field {
    Date,
    Domain,
    MemberId,
    Role,
    ActiveFlag,
    /// The place in [`COUNTER_TABLE`].
    Counter(usize),
    Unknown(CompactString),
}

/// Looks for a counter where it should stand: behind the one before. In any other order it is found too, only later.
#[derive(Clone, Copy)]
struct FieldSeed {
    next: usize,
}

impl<'de> DeserializeSeed<'de> for FieldSeed {
    type Value = Field;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for FieldSeed {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Field, E> {
        Ok(match name {
            "date" => Field::Date,
            "domain" => Field::Domain,
            "memberId" => Field::MemberId,
            "role" => Field::Role,
            "activeFlag" => Field::ActiveFlag,
            name => (self.next..COUNTER_TABLE.len())
                .chain(0..self.next.min(COUNTER_TABLE.len()))
                .find(|at| COUNTER_TABLE[*at].field == name)
                .map_or_else(|| Field::Unknown(text::clean(name, text::WORD).into()), Field::Counter),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tidemark_domain::member::Role;
    use uuid::Uuid;

    use super::*;

    fn row(more: &[(&str, Value)]) -> Value {
        let mut row = json!({
            "date": "2026-03-05", "domain": "acme", "memberId": Uuid::from_u128(1),
            "role": "editor", "activeFlag": false,
        });
        for (name, value) in more {
            row[*name] = value.clone();
        }
        row
    }

    #[test]
    fn every_counter_has_its_place() {
        for (at, counter) in COUNTER_TABLE.iter().enumerate() {
            let activity: Activity = serde_json::from_value(row(&[(counter.field, json!(41))])).unwrap();
            let mut expected = Counters::default();
            expected.0[at] = Some(41);
            assert_eq!(activity.row.counters, expected, "{}", counter.field);
        }
    }

    #[test]
    fn the_order_of_the_counters_does_not_matter() {
        let fields =
            COUNTER_TABLE.iter().zip(1..).map(|(counter, count)| format!(r#""{}":{count}"#, counter.field));
        let fields: Vec<String> = fields.collect();
        let start =
            format!(r#"{{"date":"2026-03-05","memberId":"{}","role":"maker","activeFlag":true"#, Uuid::nil());
        for turn in 0..fields.len() {
            let mut turned = fields.clone();
            turned.rotate_left(turn);
            turned.swap(3, 11);
            let activity: Activity =
                serde_json::from_str(&format!("{start},{}}}", turned.join(","))).unwrap();
            assert!(
                activity.row.counters.0.iter().zip(1..).all(|(its, count)| *its == Some(count)),
                "{turn}"
            );
        }
    }

    #[test]
    fn absent_and_null_counters_are_none_and_zero_is_zero() {
        let sparse = row(&[
            ("noteCreatedCount", Value::Null),
            ("gridBoardOpenedCount", json!(0)),
            ("betaSegment", json!({ "tier": "gold" })),
        ]);
        let activity: Activity = serde_json::from_value(sparse).unwrap();
        let row = &activity.row;
        assert_eq!((activity.domain(), &row.role), (Some("acme"), &Role::Maker));
        assert_eq!(activity.unknown().collect::<Vec<_>>(), ["betaSegment"]);
        assert_eq!(row.counters.0.iter().flatten().collect::<Vec<_>>(), [&0]);
    }

    #[test]
    fn a_row_says_who_when_as_what_and_whether() {
        for name in ["date", "memberId", "role", "activeFlag"] {
            let mut row = row(&[]);
            row.as_object_mut().unwrap().remove(name);
            let error = serde_json::from_value::<Activity>(row).unwrap_err();
            assert_eq!(error.to_string(), format!("missing field `{name}`"));
        }
        let mut row = row(&[]);
        row.as_object_mut().unwrap().remove("domain");
        assert_eq!(serde_json::from_value::<Activity>(row).unwrap().domain(), None);
    }
}
