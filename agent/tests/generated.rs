//! What is made from the code must be what is committed. `PARLOR_WRITE=1 cargo test -p parlor --test generated` writes it.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::Path;

fn compare(path: &str, made: &str) {
    let root = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("..");
    let file = root.join(path);
    if std::env::var_os("PARLOR_WRITE").is_some() {
        std::fs::write(&file, made).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == made,
        "{path} is out of date; write it with PARLOR_WRITE=1 cargo test -p parlor --test generated"
    );
}

#[test]
fn the_example_configuration_is_the_code_s() {
    compare("parlor.example.toml", &parlor::config::example_toml());
}

#[test]
fn the_metrics_page_is_the_code_s() {
    compare("docs/metrics.md", &parlor::telemetry::metrics::markdown());
}
