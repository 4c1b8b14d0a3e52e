//! The web terminal and the reference of the api (`/docs`, `/redoc`): files built by Vite and embedded in the binary.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::RustEmbed;

use crate::domain::secret_token::hex;
use crate::problem::Problem;

#[derive(RustEmbed)]
#[folder = "../web/dist"]
#[allow_missing = true]
struct Dist;

/// Shown where the page was not built.
const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>DevPocket</title>\
    <p>DevPocket is running, but its web page was not built into this binary. Run <code>make build</code>.</p></html>";

/// What is a page; every other path is a file's name.
const PAGES: [(&str, &str); 3] = [("", "index.html"), ("docs", "docs.html"), ("redoc", "redoc.html")];

/// The file a path names. Every unknown path of the server ends here.
pub async fn file(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    let path = path.strip_prefix('/').unwrap_or(path);
    let page = PAGES.iter().find(|(page, _)| *page == path).map(|(_, file)| *file);
    let path = page.unwrap_or(path);
    let found = Dist::get(path);
    if found.is_none() && page.is_none() {
        return Problem::of_status(StatusCode::NOT_FOUND).into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        let problem = Problem::of_status(StatusCode::METHOD_NOT_ALLOWED);
        return ([(ALLOW, "GET,HEAD")], problem).into_response();
    }
    match found {
        Some(found) => answer(path, found.data, &found.metadata.sha256_hash(), &headers),
        None => ([(CACHE_CONTROL, "no-cache")], Html(NOT_BUILT)).into_response(),
    }
}

fn answer(path: &str, data: Cow<'static, [u8]>, sha256: &[u8], headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", hex(sha256));
    // Vite puts a hash of the content into the names under assets/.
    let keep = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let known = headers.get(IF_NONE_MATCH).is_some_and(|given| given.as_bytes() == tag.as_bytes());
    // The kind belongs to "not modified" too: by it the content security policy is chosen, which replaces the one the
    // browser kept with the page.
    let headers = [(CONTENT_TYPE, media_type(path)), (CACHE_CONTROL, keep.to_owned()), (ETAG, tag)];
    if known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, Body::from(data)).into_response()
}

fn media_type(path: &str) -> String {
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    let is_text = kind.type_() == "text" || ["javascript", "json"].contains(&kind.subtype().as_str());
    if is_text { format!("{kind}; charset=utf-8") } else { kind.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_file_a_page_has_is_served_as_what_it_is() {
        for (path, kind) in [
            ("index.html", "text/html; charset=utf-8"),
            ("assets/index-1a2b3c.js", "text/javascript; charset=utf-8"),
            ("assets/index-1a2b3c.css", "text/css; charset=utf-8"),
            ("icon.svg", "image/svg+xml"),
            ("icon.png", "image/png"),
            ("manifest.webmanifest", "application/manifest+json"),
            ("assets/font.woff2", "font/woff2"),
            ("unknown", "application/octet-stream"),
        ] {
            assert_eq!(media_type(path), kind, "{path}");
        }
    }

    #[test]
    fn hashed_files_are_kept_for_ever_and_others_are_asked_for_again() {
        let file = |tag: Option<&str>, path: &str| {
            let mut headers = HeaderMap::new();
            if let Some(tag) = tag {
                headers.insert(IF_NONE_MATCH, tag.parse().unwrap());
            }
            answer(path, b"x".as_slice().into(), &[7; 32], &headers)
        };
        let fresh = file(None, "assets/a.js");
        assert_eq!(fresh.headers()[CACHE_CONTROL], "public, max-age=31536000, immutable");
        let page = file(None, "index.html");
        assert_eq!(page.headers()[CACHE_CONTROL], "no-cache");
        let tag = page.headers()[ETAG].to_str().unwrap().to_owned();
        let unchanged = file(Some(&tag), "index.html");
        assert_eq!(unchanged.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(unchanged.headers()[CONTENT_TYPE], page.headers()[CONTENT_TYPE]);
        assert_eq!(file(Some("\"other\""), "index.html").status(), StatusCode::OK);
    }
}
