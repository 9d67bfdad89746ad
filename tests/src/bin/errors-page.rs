//! Writes `docs/errors.md`.

use std::path::Path;

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md");
    std::fs::write(&page, carillon_tests::errors_page::page()).with_context(|| page.display().to_string())
}
