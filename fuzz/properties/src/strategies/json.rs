//! JSON as text.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Any JSON value, as text with white space here and there.
pub fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(vec!["null", "true", "false"]).prop_map(str::to_owned),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f32>()
            .prop_filter("JSON has no such number", |number| number.is_finite())
            .prop_map(|number| format!("{number:e}")),
        quoted(text()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(" , "))),
            vec(("[a-z]{0,3}", inner), 0..3).prop_map(|members| {
                let members: Vec<_> = members
                    .iter()
                    .map(|(name, value)| format!("\"{name}\": {value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// A few characters, never none, of which some need an escape in JSON.
pub fn text() -> impl Strategy<Value = String> {
    "[a-z \"\\\\\u{0}-\u{1f}é例😀]{1,12}"
}

/// An `expires_in` or a date of a token: mostly a number, good or not.
pub(super) fn seconds() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        4 => (1..100_000_i64).prop_map(|number| number.to_string()),
        2 => (1_790_000_000..1_800_000_000_i64).prop_map(|number| number.to_string()),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => "\"?[0-9]{0,25}\"?",
        1 => "-?[0-9]{1,3}[.e][0-9]{1,2}",
    ]
}

/// An object as JSON text: members in any order, twice, missing, of the right type or not.
pub(super) fn members(
    fields: Vec<(&'static str, BoxedStrategy<String>)>,
) -> impl Strategy<Value = String> {
    // Most fields stand once, a few not at all or twice.
    let times = select(vec![1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 2]);
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(name, value)| {
            let other = prop_oneof![2 => Just("null".to_owned()), 1 => json()];
            let member = prop_oneof![12 => value, 1 => other]
                .prop_map(move |value| format!("\"{name}\":{value}"))
                .boxed();
            times
                .clone()
                .prop_flat_map(move |times| vec(member.clone(), times))
                .boxed()
        })
        .collect();
    fields
        .prop_map(|members| members.concat())
        .prop_shuffle()
        .prop_map(|members| format!("{{{}}}", members.join(",")))
}

/// A string of JSON.
pub(super) fn quoted(text: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    text.prop_map(|text| serde_json::Value::from(text).to_string())
        .boxed()
}
