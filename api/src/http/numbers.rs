//! Whole numbers that would be kept as others: beyond 64 bits serde_json takes one for the nearest double.

use serde_json::Value;

/// The least that the magnitude of such a number is.
const BEYOND_64_BITS: f64 = 9_223_372_036_854_775_808.0;

/// Whether valid JSON holds such a number.
pub(super) fn are_rounded(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some((first, after)) = rest.split_first() {
        rest = match first {
            b'"' => after_text(after),
            b'-' | b'0'..=b'9' => {
                let end = rest.iter().position(|byte| !b"+-.eE0123456789".contains(byte));
                let (number, after) = rest.split_at(end.unwrap_or(rest.len()));
                if is_rounded(number) {
                    return true;
                }
                after
            }
            _ => after,
        };
    }
    false
}

/// Whether such a number may be among those of a value of the JSON: one so large that was sent with a point or an exponent
/// looks the same.
pub(super) fn may_be_rounded(value: &Value) -> bool {
    match value {
        Value::Number(number) => {
            number.is_f64() && number.as_f64().is_some_and(|number| number.abs() >= BEYOND_64_BITS)
        }
        Value::Array(list) => list.iter().any(may_be_rounded),
        Value::Object(object) => object.values().any(may_be_rounded),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// What comes after a text that has begun.
fn after_text(mut rest: &[u8]) -> &[u8] {
    loop {
        rest = match rest {
            [] => return rest,
            [b'"', after @ ..] => return after,
            [b'\\', _, after @ ..] | [_, after @ ..] => after,
        };
    }
}

fn is_rounded(number: &[u8]) -> bool {
    let number = std::str::from_utf8(number).unwrap_or_default();
    let is_whole = !number.contains(['.', 'e', 'E']);
    is_whole && number.parse::<u64>().is_err() && number.parse::<i64>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_beyond_64_bits_is_seen_wherever_it_stands() {
        for json in [
            "18446744073709551616",
            r#"{"m":18446744073709551616}"#,
            r#"{"m":[1,-9223372036854775809,2]}"#,
            r#"{"a\"b":"\\","m" : 99999999999999999999 }"#,
        ] {
            assert!(are_rounded(json.as_bytes()), "{json}");
            assert!(may_be_rounded(&serde_json::from_str(json).unwrap()), "{json}");
        }
        for json in [
            "18446744073709551615",
            r#"{"m":-9223372036854775808}"#,
            r#"{"m":[0,-0,1.5,1e300,12345678901234567890123.0]}"#,
            r#"{"18446744073709551616":"18446744073709551616 \" 99999999999999999999"}"#,
            "",
        ] {
            assert!(!are_rounded(json.as_bytes()), "{json}");
        }
        let small = serde_json::json!({"m": [u64::MAX, i64::MIN, 0.5, "18446744073709551616", null]});
        assert!(!may_be_rounded(&small));
    }
}
