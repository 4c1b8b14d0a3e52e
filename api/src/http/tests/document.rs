//! The OpenAPI document says what the router does: which routes there are, and how far each field may go.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Map;

use super::node::Node;
use super::*;
use crate::store::tests::SqlitePlace;

type Api = super::Api<SqlitePlace>;

fn document() -> Value {
    serde_json::to_value(crate::http::openapi::document("DevPocket")).unwrap()
}

/// Method, path and operation of all.
fn operations(document: &Value) -> impl Iterator<Item = (String, &String, &Value)> {
    document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        item.as_object()
            .unwrap()
            .iter()
            .map(move |(method, operation)| (method.to_uppercase(), path, operation))
    })
}

/// What a reference leads to, else the value itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let Some(reference) = value["$ref"].as_str() else { return value };
    document.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

/// What a path is asked with where any will do.
fn filled(path: &str) -> String {
    path.replace("{id}", &uuid::Uuid::nil().to_string()).replace("{token}", "x")
}

#[test]
fn every_path_that_is_served_is_documented_and_the_reverse() {
    // The router tells its paths in its debug form alone: `paths: {RouteId(0): "/api/auth/register", ..}`.
    let routers = [
        format!("{:?}", Router::from(crate::http::routes())),
        format!("{:?}", Router::from(crate::terminal::routes())),
    ];
    let paths_of = |router: &String| -> Vec<String> {
        // What comes after belongs to the router of fallbacks.
        let (_, rest) = router.split_once("node: Node { paths: {").expect("the debug form as it was");
        let (paths, _) = rest.split_once("fallback_router").expect("the debug form as it was");
        let words = paths.split('"').skip(1).step_by(2);
        words.filter(|word| word.starts_with('/') && !word.contains("__private")).map(str::to_owned).collect()
    };
    let served: BTreeSet<String> = routers.iter().flat_map(paths_of).collect();
    let document = document();
    let documented: BTreeSet<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(served, documented);
}

#[tokio::test]
async fn every_method_that_is_served_is_documented_and_the_reverse() {
    let api = Api::new().await;
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        let request = Request::builder().method("BREW").uri(filled(path)).body(Body::empty()).unwrap();
        let answer = api.send(request).await;
        answer.is_problem(405, "method_not_allowed");
        let allowed = answer.headers["allow"].to_str().unwrap();
        // Whoever may GET may ask for the head alone.
        let served: BTreeSet<_> = allowed.split(',').filter(|method| *method != "HEAD").collect();
        let documented: Vec<_> =
            item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        assert_eq!(served, documented.iter().map(String::as_str).collect(), "{path}");
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_and_says_what_it_does() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let tags: Vec<_> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut names = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let name = operation["operationId"].as_str().unwrap();
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        assert!(!operation["summary"].as_str().unwrap_or_default().is_empty(), "{method} {path}");
        assert!(tags.contains(&&operation["tags"][0]), "{method} {path}");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn check(document: &Value, value: &Value) {
        resolved(document, value);
        match value {
            Value::Object(fields) => fields.values().for_each(|value| check(document, value)),
            Value::Array(values) => values.iter().for_each(|value| check(document, value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document();
    check(&document, &document);
}

/// Values at the bounds of a schema, and those just beyond.
fn bounds(schema: &Value) -> (Vec<Value>, Vec<Value>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    if let Some(most) = schema["maxLength"].as_u64() {
        let text = |length: u64| json!("a".repeat(length.try_into().unwrap()));
        good.push(text(most));
        bad.push(text(most + 1));
    }
    let pattern = schema["pattern"].as_str().unwrap_or_default();
    if pattern.starts_with("^[^\\u0000-\\u001f\\u007f-\\u009f") {
        good.push(json!("\u{e4} \u{1F600}"));
        bad.extend(["\n", "\u{1b}[2J", "\u{7f}", "\u{9b}1m"].map(|text| json!(text)));
        let turning = ["\u{202e}gpj.exe", "\u{2066}x\u{2069}"].map(|text| json!(text));
        if pattern.contains("\\u202a-\\u202e\\u2066-\\u2069") {
            bad.extend(turning)
        } else {
            good.extend(turning)
        }
    }
    // Lines, as they are typed.
    if pattern.starts_with("^([^\\u0000-\\u0008\\u000b-\\u001f") {
        good.extend(["a\tb\n\u{e4}", "a\r\nb"].map(|text| json!(text)));
        bad.extend(["a\rb", "\u{1b}[2J", "\u{7f}", "\u{9b}1m", "a\u{0}"].map(|text| json!(text)));
    }
    if let (Some(least), Some(most)) = (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
        good.extend([json!(least), json!(most)]);
        bad.extend([json!(least - 1), json!(most.unsigned_abs() + 1), json!("x")]);
    }
    if let Some(most) = schema["maxItems"].as_u64() {
        let list = |length: u64| json!(vec!["a"; length.try_into().unwrap()]);
        good.push(list(most));
        bad.push(list(most + 1));
    }
    if let Some(words) = schema["enum"].as_array() {
        good.extend(words.clone());
        bad.push(json!("nonsense"));
    }
    (good, bad)
}

/// The codes that an answer has for a field.
fn wrong_with<'a>(answer: &'a Answer, field: &str) -> Vec<&'a str> {
    let errors = answer.body["errors"].as_array();
    let of_field = errors.into_iter().flatten().filter(|error| error["field"] == field);
    of_field.filter_map(|error| error["code"].as_str()).collect()
}

#[tokio::test]
async fn the_bounds_of_a_body_are_those_that_are_kept() {
    let api = Api::with(|policy| policy.local_sessions = LocalSessions::All).await;
    let _node = Node::listen(api.directory.path());
    let document = document();
    let mut checked = 0;
    for (method, path, operation) in operations(&document) {
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        let empty = Map::new();
        for (field, schema) in resolved(&document, body)["properties"].as_object().unwrap_or(&empty) {
            let (good, bad) = bounds(resolved(&document, schema));
            // Another account each: what is good here may be a wrong password, of which there may be five.
            checked += 1;
            let token = api.register(&format!("ann-{checked}")).await.access().to_owned();
            let ask = async |value| api.ask_as(&token, &method, &filled(path), json!({ field: value })).await;
            for value in good {
                let wrong = ask(value).await;
                let codes = wrong_with(&wrong, field);
                // What it is made of is another question than how long it is.
                assert!(codes.iter().all(|code| *code == "invalid"), "{method} {path} {field}: {codes:?}");
            }
            for value in bad {
                let wrong = ask(value).await;
                assert!(!wrong_with(&wrong, field).is_empty(), "{method} {path} {field}: {wrong:?}");
            }
        }
    }
    assert!(checked > 30, "only {checked} fields");
}

#[test]
fn a_command_says_which_characters_it_may_hold() {
    let document = document();
    let command = &document["components"]["schemas"]["NewCommand"]["properties"]["command"];
    let (good, bad) = bounds(command);
    assert!(good.contains(&json!("a\r\nb")) && bad.contains(&json!("a\rb")), "{command}");
}

#[tokio::test]
async fn the_bounds_of_a_query_are_those_that_are_kept() {
    let api = Api::new().await;
    let _node = Node::listen(api.directory.path());
    let token = api.register("ann").await.access().to_owned();
    let document = document();
    let mut checked = 0;
    for (_, path, operation) in operations(&document).filter(|(method, ..)| method == "GET") {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let field = parameter["name"].as_str().unwrap();
            let (good, bad) = bounds(&parameter["schema"]);
            let said = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let ask =
                async |value| api.get_as(&token, &format!("{}?{field}={}", filled(path), said(value))).await;
            checked += usize::from(!good.is_empty());
            for value in good {
                let answer = ask(value).await;
                assert!(wrong_with(&answer, field).is_empty(), "{path} {field}: {answer:?}");
            }
            for value in bad {
                let answer = ask(value).await;
                assert!(!wrong_with(&answer, field).is_empty(), "{path} {field}: {answer:?}");
            }
            if parameter["in"] == "query" && path.starts_with("/api/") {
                let twice = format!("{}?{field}=1&{field}=2&sort=x&%1b=x", filled(path));
                let answer = api.get_as(&token, &twice).await;
                answer.is_problem(422, "invalid_fields");
                assert!(wrong_with(&answer, field).contains(&"repeated"), "{path} {field}: {answer:?}");
                assert_eq!(wrong_with(&answer, "sort"), ["unknown"], "{path}: {answer:?}");
                assert_eq!(wrong_with(&answer, "query"), ["unknown"], "{path}: {answer:?}");
            }
        }
    }
    assert!(checked >= 7, "only {checked} parameters");
}

#[test]
fn the_docs_name_every_operation_and_no_other() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api.md")).unwrap();
    let named: BTreeSet<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
    let document = document();
    let lines = operations(&document).map(|(method, path, operation)| {
        let summary = operation["summary"].as_str().unwrap().trim_end_matches('.');
        format!("| `{method} {path}` | {summary} |")
    });
    let there: BTreeSet<String> = lines.collect();
    assert_eq!(named, there.iter().map(String::as_str).collect(), "in docs/api.md, and in the code");
}
