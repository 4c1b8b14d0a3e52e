//! Who may depend on whom: the arrows of docs/architecture.md, read from the manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

#[test]
fn no_crate_of_ours_depends_on_one_it_must_not_know() {
    let allowed = BTreeMap::from([
        ("devpocket-shared", vec![]),
        ("ptyd-screen", vec![]),
        ("ptyd-session", vec!["devpocket-shared", "ptyd-screen"]),
        ("ptyd", vec!["devpocket-shared", "ptyd-screen", "ptyd-session"]),
        ("devpocket", vec!["devpocket-shared"]),
        ("devpocket-tests", vec!["devpocket-shared"]),
        ("devpocket-bench", vec!["devpocket-tests", "ptyd-screen"]),
    ]);
    let members = members();
    assert_eq!(
        members.keys().map(String::as_str).collect::<Vec<_>>(),
        allowed.keys().copied().collect::<Vec<_>>()
    );
    for (member, dependencies) in &members {
        let ours: BTreeSet<_> = dependencies.iter().filter(|name| members.contains_key(*name)).collect();
        let wrong: Vec<_> =
            ours.iter().filter(|name| !allowed[member.as_str()].contains(&name.as_str())).collect();
        assert!(wrong.is_empty(), "{member} depends on {wrong:?}");
    }
}

#[test]
fn the_session_engine_and_the_screen_have_neither_runtime_nor_io() {
    for member in ["ptyd-session", "ptyd-screen"] {
        let dependencies = &members()[member];
        for name in ["tokio", "nix", "memmap2", "quinn", "getrandom", "tracing"] {
            assert!(!dependencies.contains(name), "{member} depends on {name}");
        }
    }
}

/// The crates of the workspace and what each depends on outside its tests.
fn members() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let metadata: Value = serde_json::from_slice(&cargo.stdout).expect("cargo's metadata");
    let packages = metadata["packages"].as_array().expect("packages");
    let name = |value: &Value| value["name"].as_str().expect("a name").to_owned();
    let normal = |package: &Value| {
        let dependencies = package["dependencies"].as_array().expect("dependencies");
        dependencies.iter().filter(|dependency| dependency["kind"].is_null()).map(name).collect()
    };
    packages.iter().map(|package| (name(package), normal(package))).collect()
}
