//! Tells cargo what is embedded in the binary from outside the crate, so that a new migration or page is a new build.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=../migrations");
    // Cargo takes a path that does not exist for one that always changed.
    for path in ["../web/dist", "../web"] {
        if Path::new(path).exists() {
            println!("cargo::rerun-if-changed={path}");
            break;
        }
    }
}
