//! Compares what people read with what was agreed. `UPDATE_GOLDEN=1` writes it anew: read the difference before committing it.

use std::path::Path;

/// Compares `actual` with `tests/golden/<name>.txt`.
pub(crate) fn check(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, actual).expect("the golden folder is writable");
        return;
    }
    let agreed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        agreed == actual,
        "{name}.txt differs (UPDATE_GOLDEN=1 writes it anew)\n--- agreed\n{agreed}\n--- actual\n{actual}"
    );
}
