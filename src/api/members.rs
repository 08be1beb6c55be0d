//! The members of a request's JSON object, before they are joined.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::body::BodyWriter;
use crate::error::RequestError;

/// Members in the order in which they were first set, and the first thing that went wrong on the way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members {
    list: Vec<Member>,
    problem: Option<RequestError>,
}

#[derive(Clone, Debug)]
struct Member {
    key: Cow<'static, str>,
    /// The value, as JSON text.
    json: String,
    origin: Origin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Method,
    Extra,
    /// A request's JSON. What is set after reading it takes its place, by whichever way.
    Json,
}

impl Members {
    /// Sets a member from the method of its name; the last value counts.
    pub(crate) fn set(&mut self, key: &'static str, value: &(impl Serialize + ?Sized)) {
        self.put(Cow::Borrowed(key), value, Origin::Method);
    }

    /// Sets a number, which JSON can hold only where it is finite (serde would write `null` in silence).
    pub(crate) fn set_number(&mut self, key: &'static str, value: f64) {
        if value.is_finite() {
            self.set(key, &value);
        } else {
            self.fail(RequestError::NotFinite {
                key: key.to_owned(),
                value: value.to_string(),
            });
        }
    }

    /// Sets a member from `extra`; the last value counts. `reserved` are the keys that have another way.
    pub(crate) fn extra(&mut self, key: String, value: &(impl Serialize + ?Sized), reserved: &[&str]) {
        if reserved.contains(&key.as_str()) {
            self.fail(RequestError::Reserved { key });
        } else {
            self.put(Cow::Owned(key), value, Origin::Extra);
        }
    }

    /// Adds a member of a request's JSON; false where it is there already.
    pub(crate) fn read(&mut self, key: &str, json: Box<RawValue>) -> bool {
        let is_new = !self.list.iter().any(|member| member.key == key);
        if is_new {
            self.list.push(Member {
                key: Cow::Owned(key.to_owned()),
                json: Box::<str>::from(json).into(),
                origin: Origin::Json,
            });
        }
        is_new
    }

    /// Keeps `problem`, unless there is an earlier one.
    pub(crate) fn fail(&mut self, problem: RequestError) {
        self.problem.get_or_insert(problem);
    }

    /// The first problem.
    pub(crate) fn check(&self) -> Result<(), RequestError> {
        self.problem.clone().map_or(Ok(()), Err)
    }

    /// Adds all members to a body.
    pub(crate) fn write(&self, body: &mut BodyWriter) {
        for member in &self.list {
            body.member(&member.key, &member.json);
        }
    }

    fn put(&mut self, key: Cow<'static, str>, value: &(impl Serialize + ?Sized), origin: Origin) {
        let json = match serde_json::to_string(value) {
            Ok(json) => json,
            Err(error) => {
                return self.fail(RequestError::NotJson {
                    key: key.into_owned(),
                    reason: error.to_string(),
                });
            }
        };
        match self.list.iter_mut().find(|member| member.key == key) {
            None => self.list.push(Member { key, json, origin }),
            Some(member) if [origin, Origin::Json].contains(&member.origin) => *member = Member { key, json, origin },
            Some(_) => self.fail(RequestError::Clash { key: key.into_owned() }),
        }
    }
}
