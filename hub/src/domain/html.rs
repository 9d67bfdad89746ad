//! HTML in contents: what of it is kept. Everything else goes, and scripts and styles with what is in them.
//!
//! Kept is what marks text up: paragraphs, headings, lists, tables, quotes, code, emphasis, links. A link leads to
//! `http`, `https`, `mailto` or `tel` and tells nothing of where it was followed. Nothing is kept that runs, that loads
//! something from elsewhere when it is shown (images, frames, media), that takes input, or that changes how the page
//! around it looks (styles, classes, ids).

mod weight;

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};

use super::error::Refusal;
use super::limits;

/// What may be in a text, besides text.
const ELEMENTS: [&str; 47] = [
    "a",
    "abbr",
    "b",
    "bdi",
    "bdo",
    "blockquote",
    "br",
    "caption",
    "cite",
    "code",
    "dd",
    "del",
    "div",
    "dl",
    "dt",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "ins",
    "kbd",
    "li",
    "mark",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "samp",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "u",
    "ul",
];

/// What goes with everything in it.
const EMPTIED: [&str; 2] = ["script", "style"];

/// Where links may lead.
const SCHEMES: [&str; 4] = ["http", "https", "mailto", "tel"];

static POLICY: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut policy = Builder::empty();
    policy
        .tags(ELEMENTS.into())
        .clean_content_tags(EMPTIED.into())
        .generic_attributes(HashSet::from(["dir", "lang", "title"]))
        .tag_attributes(HashMap::from([
            ("a", HashSet::from(["href"])),
            ("ol", HashSet::from(["start"])),
            ("td", HashSet::from(["colspan", "rowspan"])),
            ("th", HashSet::from(["colspan", "rowspan"])),
        ]))
        .url_schemes(SCHEMES.into())
        .url_relative(UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow"));
    policy
});

/// What is kept of an HTML text; refused where nothing is, or where it has too many tags to be looked at.
pub(super) fn sanitise(text: &str) -> Result<String, Refusal> {
    if text.bytes().filter(|byte| *byte == b'<').count() > limits::HTML_TAGS {
        return Err(Refusal::invalid("content.text", "at most 300 tags"));
    }
    if !weight::is_at_most(text, limits::HTML_WEIGHT) {
        return Err(Refusal::invalid("content.text", "elements that are closed where they end"));
    }
    let kept = POLICY.clean(text).to_string();
    if kept.trim().is_empty() {
        return Err(Refusal::invalid("content", "not empty once sanitised"));
    }
    Ok(kept)
}

/// Whether data of this media type, without its parameters, would be shown as a page.
pub(super) fn is_html(essence: &str) -> bool {
    ["text/html", "application/xhtml+xml"].iter().any(|html| essence.eq_ignore_ascii_case(html))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn markup_stays_and_what_runs_loads_or_restyles_goes() {
        for (sent, kept) in [
            ("<p>One <b>two</b> &amp; three</p>", "<p>One <b>two</b> &amp; three</p>"),
            ("1 < 2", "1 &lt; 2"),
            ("a<script>alert(1)</script>b", "ab"),
            ("a<style>p { color: red }</style>b", "ab"),
            ("<SCRIPT\t/x>alert(1)</SCRIPT ><i>x</i>", "<i>x</i>"),
            ("<p onclick=\"alert(1)\" style=\"color:red\" class=\"x\" id=\"y\">x</p>", "<p>x</p>"),
            ("<img src=x onerror=alert(1)>x", "x"),
            ("<iframe src=\"https://a.example\"></iframe>x<form><input name=a></form>", "x"),
            ("x<!-- <script>alert(1)</script> -->", "x"),
            ("<b>not closed", "<b>not closed</b>"),
        ] {
            assert_eq!(sanitise(sent).unwrap(), kept, "{sent}");
        }
    }

    #[test]
    fn links_lead_to_the_web_to_mail_and_to_telephones() {
        let rel = "rel=\"noopener noreferrer nofollow\"";
        for good in ["https://a.example/b?c=d#e", "http://a.example", "mailto:a@b.example", "tel:+49301"] {
            let kept = format!("<a href=\"{good}\" {rel}>x</a>");
            assert_eq!(sanitise(&format!("<a href=\"{good}\" target=_top>x</a>")).unwrap(), kept);
        }
        for bad in [
            "javascript:alert(1)",
            " jAvAsCrIpT:alert(1)",
            "java\tscript:alert(1)",
            "&#106;avascript:alert(1)",
            "data:text/html,<script>alert(1)</script>",
            "vbscript:x",
            "file:///etc/passwd",
            "/relative",
            "//a.example",
        ] {
            assert_eq!(
                sanitise(&format!("<a href=\"{bad}\">x</a>")).unwrap(),
                format!("<a {rel}>x</a>"),
                "{bad}"
            );
        }
    }

    #[test]
    fn what_says_nothing_or_has_too_many_tags_is_refused() {
        for nothing in
            ["<script>alert(1)</script>", "<!-- x -->", " <style>x</style>\n", "<img src=x>", "<svg></svg>"]
        {
            assert_eq!(sanitise(nothing).unwrap_err().violations[0].field, "content", "{nothing}");
        }
        assert!(sanitise(&"<i>x".repeat(limits::HTML_TAGS)).is_ok());
        let open = (0..140).map(|number| format!("<b id={number}>")).collect::<Vec<_>>().concat();
        let again = format!("<p>{open}{}", "<p>x".repeat(140));
        assert_eq!(sanitise(&again).unwrap_err().violations[0].field, "content.text");
        let links =
            "<p><a href=\"https://a.example/a/rather/long/path/to/somewhere?with=a&query=string\">x</a></p>";
        assert!(sanitise(&links.repeat(75)).is_ok());
        assert_eq!(
            sanitise(&"<i>x".repeat(limits::HTML_TAGS + 1)).unwrap_err().violations[0].field,
            "content.text"
        );
    }

    #[test]
    fn data_cannot_pass_for_a_page() {
        for page in ["text/html", "Text/HTML", "application/xhtml+xml"] {
            assert!(is_html(page), "{page}");
        }
        assert!(!is_html("text/htmlx") && !is_html("image/png"));
    }

    proptest! {
        #[test]
        fn what_was_sanitised_stays_as_it_is(
            text in "(<(a href=|b|p|td|svg|math|style|title|table|select|/p|/b|/svg|!--)[ >\"']?|x|&|&lt;|\"|'|javascript:|on=){0,40}",
        ) {
            if let Ok(kept) = sanitise(&text) {
                prop_assert!(!kept.contains("<a href=\"javascript:") && !kept.contains("<s"), "{}", kept);
                prop_assert_eq!(sanitise(&kept).unwrap_or_default(), kept);
            }
        }
    }
}
