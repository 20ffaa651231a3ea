//! Documents that the code writes: what is checked in is what it would write now.

use std::path::Path;

#[test]
fn the_generated_list_of_metrics_is_the_one_checked_in() {
    let written = gateway::app::metrics_manual().expect("metrics have names of their own");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &written).expect("docs can be written");
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == kept,
        "docs/metrics.md is old; `make docs` writes it anew"
    );
}
