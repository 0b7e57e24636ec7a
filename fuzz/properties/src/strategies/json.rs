//! Strategies for JSON texts.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Generates any JSON value as text, with some white space.
pub fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(vec!["null", "true", "false"]).prop_map(str::to_owned),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f32>()
            .prop_filter("JSON cannot express the number", |number| number
                .is_finite())
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

/// Generates 1 to 12 characters, some of which need escapes in JSON.
pub fn text() -> impl Strategy<Value = String> {
    "[a-z \"\\\\\u{0}-\u{1f}é例😀]{1,12}"
}

/// Generates an `expires_in` or a time of a token: usually a number, valid or not.
pub(super) fn seconds() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        4 => (1..100_000_i64).prop_map(|number| number.to_string()),
        2 => (1_790_000_000..1_800_000_000_i64).prop_map(|number| number.to_string()),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => "\"?[0-9]{0,25}\"?",
        1 => "-?[0-9]{1,3}[.e][0-9]{1,2}",
    ]
}

/// Generates an object whose members can be in any order, be missing, occur twice, or have the
/// wrong type.
pub(super) fn members(
    fields: Vec<(&'static str, BoxedStrategy<String>)>,
) -> impl Strategy<Value = String> {
    // Most fields occur once, a few do not occur or occur twice.
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

/// Generates a JSON string.
pub(super) fn quoted(text: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    text.prop_map(|text| serde_json::Value::from(text).to_string())
        .boxed()
}
