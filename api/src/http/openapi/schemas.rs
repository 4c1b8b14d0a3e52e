//! Schemas that several routes share, and what is said of all.

use std::collections::BTreeSet;

use utoipa::openapi::schema::{Schema, SchemaType};
use utoipa::openapi::{Content, KnownFormat, Object, ObjectBuilder, OpenApi, RefOr, SchemaFormat, Type};

use super::answers::operations;

/// What `Email::parse` takes, but for the lengths of its parts.
const EMAIL: &str = r"^[!#-'*+\-/0-9=?A-Z^_`a-z{|}~]+(\.[!#-'*+\-/0-9=?A-Z^_`a-z{|}~]+)*@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$";

/// Says of every answer's schema that all its fields are there: views leave none out, though some are null. Bodies say it of
/// themselves, and a problem has some fields only where there is something to say.
pub(super) fn complete(document: &mut OpenApi) {
    let mut bodies = BTreeSet::from(["Problem".to_owned()]);
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            if let Some(RefOr::T(body)) = &mut operation.request_body {
                body.content.values_mut().for_each(without_null);
                bodies.extend(body.content.values().filter_map(name));
            }
        }
    }
    for (name, schema) in &mut document.components.get_or_insert_default().schemas {
        if let RefOr::T(Schema::Object(view)) = schema
            && !bodies.contains(name)
        {
            view.required = view.properties.keys().cloned().collect();
        }
    }
}

/// A body that may be left out is an object where it is there.
fn without_null(content: &mut RefOr<Content>) {
    if let RefOr::T(content) = content
        && let Some(RefOr::T(Schema::OneOf(either))) = &content.schema
    {
        content.schema = either.items.iter().find(|schema| matches!(schema, RefOr::Ref(_))).cloned();
    }
}

/// The name of a body's schema.
fn name(content: &RefOr<Content>) -> Option<String> {
    let RefOr::T(Content { schema: Some(RefOr::Ref(schema)), .. }) = content else { return None };
    schema.ref_location.rsplit('/').next().map(str::to_owned)
}

/// One of some words.
pub(in crate::http) fn word<const N: usize>(words: [&'static str; N]) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

/// One of some words, or null.
pub(in crate::http) fn nullable_word<const N: usize>(words: [&'static str; N]) -> Object {
    let words = words.into_iter().map(Some).chain([None]);
    ObjectBuilder::new().schema_type(or_null(Type::String)).enum_values(Some(words)).build()
}

/// A mail address.
pub(in crate::http) fn email() -> Object {
    address(Type::String.into())
}

/// A mail address, or null.
pub(in crate::http) fn optional_email() -> Object {
    address(or_null(Type::String))
}

/// A time, or null.
pub(in crate::http) fn optional_time() -> Object {
    ObjectBuilder::new()
        .schema_type(or_null(Type::String))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .min_length(Some("2000-01-01T00:00:00Z".len()))
        .build()
}

fn address(kind: SchemaType) -> Object {
    ObjectBuilder::new()
        .schema_type(kind)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Email)))
        .max_length(Some(254))
        .pattern(Some(EMAIL))
        .build()
}

fn or_null(kind: Type) -> SchemaType {
    SchemaType::Array(vec![kind, Type::Null])
}
