//! `docs/errors.md` says what the code's tables say.

use carillon_hub::domain::error::ERROR_TABLE;
use carillon_hub::grpc::errors::wire;

use crate::files;

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

/// A status' name as the gRPC documentation writes it.
fn status(code: tonic::Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

#[test]
fn the_page_of_errors_says_what_the_tables_say() {
    let page = std::fs::read_to_string(files::root().join("docs/errors.md")).expect("the page");
    let mut rows = page.lines().filter(|line| line.starts_with("| `"));
    for row in ERROR_TABLE {
        let wire = wire(row.code);
        let wanted = format!(
            "| `{}` | {} | {} | {} | {} | {} | {} | ",
            row.name,
            row.message,
            status(wire.grpc),
            wire.http,
            wire.close,
            yes(row.retryable),
            yes(row.reconnect),
        );
        let written = rows.next().unwrap_or_default();
        assert!(
            written.starts_with(&wanted),
            "docs/errors.md says\n{written}\nwhere it should begin\n{wanted}"
        );
        assert!(written.len() > wanted.len() + 10, "{}: the page does not say when it comes", row.name);
    }
    assert_eq!(rows.next(), None, "docs/errors.md has a code that is in no table");
}
