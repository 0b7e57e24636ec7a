//! The part of JSON Schema (draft 2020-12) that `schema.json` uses. An unknown keyword is an error, so
//! that none is skipped.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Checks `file` against `schema`. The error names the place of the first mismatch.
pub(crate) fn check(schema: &Value, file: &Value) -> Result<(), String> {
    Checker { root: schema }.check(schema, file)
}

/// Collects every word of `schema`: names of properties, and constants.
pub(crate) fn vocabulary(schema: &Value, known: &mut BTreeSet<String>) {
    let words = |keyword| schema.get(keyword).into_iter();
    let names = words("properties").filter_map(Value::as_object).flatten();
    known.extend(names.map(|(name, _)| name.clone()));
    let constants = words("enum").filter_map(Value::as_array).flatten();
    let constants = constants.chain(words("const")).filter_map(Value::as_str);
    known.extend(constants.map(str::to_owned));
    match schema {
        Value::Object(object) => object.values().for_each(|value| vocabulary(value, known)),
        Value::Array(array) => array.iter().for_each(|value| vocabulary(value, known)),
        _ => {}
    }
}

/// Collects every word of `file`: keys and strings.
pub(crate) fn words(file: &Value, used: &mut BTreeSet<String>) {
    match file {
        Value::Object(object) => {
            used.extend(object.keys().cloned());
            object.values().for_each(|value| words(value, used));
        }
        Value::Array(array) => array.iter().for_each(|value| words(value, used)),
        Value::String(text) => {
            used.insert(text.clone());
        }
        _ => {}
    }
}

struct Checker<'s> {
    root: &'s Value,
}

impl Checker<'_> {
    fn check(&self, schema: &Value, value: &Value) -> Result<(), String> {
        match schema {
            Value::Bool(true) => Ok(()),
            Value::Object(rules) => rules
                .iter()
                .try_for_each(|(keyword, rule)| self.obey(rules, keyword, rule, value)),
            _ => Err(format!(": {value} is not allowed")),
        }
    }

    /// Checks one keyword. A keyword accepts every value of a type that it is not about.
    fn obey(
        &self,
        rules: &Map<String, Value>,
        keyword: &str,
        rule: &Value,
        value: &Value,
    ) -> Result<(), String> {
        let all = rule.as_array().into_iter().flatten();
        let object = value.as_object().into_iter().flatten();
        let array = value.as_array().into_iter().flatten();
        let known = |name: &str| rules.get("properties").and_then(|known| known.get(name));
        let fits = match keyword {
            "$schema" | "$defs" | "title" | "description" => true,
            "$ref" => {
                let pointer = rule.as_str().and_then(|text| text.strip_prefix('#'));
                let target = pointer.and_then(|pointer| self.root.pointer(pointer));
                return self.check(target.ok_or(format!(": {rule} has no target"))?, value);
            }
            "oneOf" => {
                let results: Vec<_> = all.map(|one| self.check(one, value)).collect();
                if results.iter().filter(|result| result.is_ok()).count() == 1 {
                    return Ok(());
                }
                return Err(format!(": not one of {} fits: {results:?}", results.len()));
            }
            "properties" => {
                return object.into_iter().try_for_each(|(name, value)| {
                    let rule = rule.get(name).unwrap_or(&Value::Bool(true));
                    self.check(rule, value)
                        .map_err(|why| format!("/{name}{why}"))
                });
            }
            "additionalProperties" => {
                let mut more = object.filter(|(name, _)| known(name).is_none());
                return more.try_for_each(|(name, value)| {
                    self.check(rule, value)
                        .map_err(|why| format!("/{name}{why}"))
                });
            }
            "prefixItems" => {
                return all
                    .zip(array)
                    .try_for_each(|(rule, value)| self.check(rule, value));
            }
            "items" => {
                let first = rules.get("prefixItems").and_then(Value::as_array);
                let mut rest = array.enumerate().skip(first.map_or(0, Vec::len));
                return rest.try_for_each(|(index, value)| {
                    self.check(rule, value)
                        .map_err(|why| format!("/{index}{why}"))
                });
            }
            "type" => match rule.as_str() {
                Some("object") => value.is_object(),
                Some("array") => value.is_array(),
                Some("string") => value.is_string(),
                Some("number") => value.is_number(),
                Some("integer") => value.is_u64() || value.is_i64(),
                Some("boolean") => value.is_boolean(),
                _ => return Err(format!(": the type {rule} is not known here")),
            },
            "const" => value == rule,
            "enum" => all.into_iter().any(|one| one == value),
            "required" => {
                let mut names = all.filter_map(Value::as_str);
                names.all(|name| {
                    value
                        .as_object()
                        .is_none_or(|value| value.contains_key(name))
                })
            }
            "minimum" => value
                .as_f64()
                .is_none_or(|number| Some(number) >= rule.as_f64()),
            "maximum" => value
                .as_f64()
                .is_none_or(|number| Some(number) <= rule.as_f64()),
            "minLength" => value
                .as_str()
                .is_none_or(|text| least(text.chars().count(), rule)),
            "minItems" => value
                .as_array()
                .is_none_or(|array| least(array.len(), rule)),
            "minProperties" => value
                .as_object()
                .is_none_or(|object| least(object.len(), rule)),
            _ => return Err(format!(": the keyword {keyword} is not known here")),
        };
        if fits {
            return Ok(());
        }
        Err(format!(": {keyword} {rule}, but it is {value}"))
    }
}

fn least(count: usize, rule: &Value) -> bool {
    rule.as_u64().is_some_and(|least| count as u64 >= least)
}
