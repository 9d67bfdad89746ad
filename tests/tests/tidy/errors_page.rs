//! `docs/errors.md` is what the code's tables say.

use carillon_hub::domain::error::ERROR_TABLE;
use carillon_tests::errors_page;

use crate::files;

#[test]
fn the_page_of_errors_says_what_the_tables_say() {
    let page = std::fs::read_to_string(files::root().join("docs/errors.md")).expect("the page");
    let current = page == errors_page::page();
    assert!(current, "docs/errors.md is not what proto/src/wire.rs says: run what the page names");
    for row in ERROR_TABLE {
        let line =
            page.lines().find(|line| line.starts_with(&format!("| `{}` | {} |", row.name, row.message)));
        assert!(line.is_some_and(|line| line.ends_with(". |")), "{} has no line of its own", row.name);
    }
}
