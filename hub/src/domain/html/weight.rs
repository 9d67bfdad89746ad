//! What an HTML text becomes when it is read as browsers read it: elements that were not closed are opened again in each paragraph, so
//! that a thousand tags can make a quarter of a million elements. It is counted before anything is built of it.

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;

use html5ever::tendril::{StrTendril, TendrilSink as _};
use html5ever::tree_builder::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::{Attribute, ExpandedName, ParseOpts, QualName, local_name, ns, parse_fragment};

/// Bytes of an attribute that weigh as much as an element.
const ATTRIBUTE_BYTES: usize = 32;

/// Whether a text weighs at most this: an element one and what its attributes weigh, each one and a part of its length. Of one that
/// weighs more little more is read than that.
pub(super) fn is_at_most(text: &str, most: usize) -> bool {
    let context = QualName::new(None, ns!(html), local_name!("div"));
    let mut parser = parse_fragment(Scales::default(), ParseOpts::default(), context, Vec::new(), false);
    let mut rest = text;
    while !rest.is_empty() {
        // One tag at a time: what one opens again was weighed before.
        let next = rest.char_indices().skip(1).find(|(_, character)| *character == '<');
        let end = next.map_or(rest.len(), |(place, _)| place);
        let (piece, later) = rest.split_at(end);
        parser.process(StrTendril::from(piece));
        if parser.tokenizer.sink.sink.weight.get() > most {
            return false;
        }
        rest = later;
    }
    parser.finish() <= most
}

/// A tree of which nothing is kept but its elements, as far as the parser holds them and asks for them.
#[derive(Default)]
struct Scales {
    weight: Cell<usize>,
}

/// An element.
struct Node {
    name: QualName,
    /// Whether HTML goes on in it, though it is none.
    integrates: bool,
}

impl Scales {
    fn node() -> Rc<Node> {
        Rc::new(Node { name: QualName::new(None, ns!(), local_name!("")), integrates: false })
    }
}

impl TreeSink for Scales {
    type Handle = Rc<Node>;
    type Output = usize;
    type ElemName<'a> = ExpandedName<'a>;

    fn finish(self) -> usize {
        self.weight.get()
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, flags: ElementFlags) -> Rc<Node> {
        let attributes = attributes.iter().map(|attribute| 1 + attribute.value.len() / ATTRIBUTE_BYTES);
        self.weight.set(self.weight.get() + 1 + attributes.sum::<usize>());
        Rc::new(Node { name, integrates: flags.mathml_annotation_xml_integration_point })
    }

    fn elem_name<'a>(&'a self, target: &'a Rc<Node>) -> ExpandedName<'a> {
        target.name.expanded()
    }

    fn is_mathml_annotation_xml_integration_point(&self, target: &Rc<Node>) -> bool {
        target.integrates
    }

    fn same_node(&self, one: &Rc<Node>, other: &Rc<Node>) -> bool {
        Rc::ptr_eq(one, other)
    }

    fn get_document(&self) -> Rc<Node> {
        Self::node()
    }

    fn get_template_contents(&self, target: &Rc<Node>) -> Rc<Node> {
        Rc::clone(target)
    }

    fn create_comment(&self, _: StrTendril) -> Rc<Node> {
        Self::node()
    }

    fn create_pi(&self, _: StrTendril, _: StrTendril) -> Rc<Node> {
        Self::node()
    }

    fn parse_error(&self, _: Cow<'static, str>) {}
    fn set_quirks_mode(&self, _: QuirksMode) {}
    fn append(&self, _: &Rc<Node>, _: NodeOrText<Rc<Node>>) {}
    fn append_before_sibling(&self, _: &Rc<Node>, _: NodeOrText<Rc<Node>>) {}
    fn append_based_on_parent_node(&self, _: &Rc<Node>, _: &Rc<Node>, _: NodeOrText<Rc<Node>>) {}
    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}
    fn add_attrs_if_missing(&self, _: &Rc<Node>, _: Vec<Attribute>) {}
    fn remove_from_parent(&self, _: &Rc<Node>) {}
    fn reparent_children(&self, _: &Rc<Node>, _: &Rc<Node>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_opened_again_weighs_each_time() {
        assert!(is_at_most("<p>One <b>two</b>, ü</p>x", 4) && !is_at_most("<p>One <b>two</b>, ü</p>x", 1));
        let open = (0..490).map(|number| format!("<b id={number}>")).collect::<Vec<_>>().concat();
        assert!(is_at_most(&format!("<p>{open}"), 1_000));
        let text = format!("<p>{open}{}", "<p>x".repeat(500));
        assert!(!is_at_most(&text, 10_000));
        let parser = parse_fragment(
            Scales::default(),
            ParseOpts::default(),
            QualName::new(None, ns!(html), local_name!("div")),
            Vec::new(),
            false,
        );
        assert!(parser.one(text) > 400_000, "all of it");
    }

    /// HTML within another language, which goes on as it was without.
    #[test]
    fn what_is_html_within_mathematics_weighs_as_much() {
        let fonts = (0..140).map(|number| format!("<font id={number}>")).collect::<Vec<_>>().concat();
        let text = format!(
            "<math><annotation-xml encoding=text/html><section>{fonts}</section>{}",
            "<p>x".repeat(140)
        );
        assert!(!is_at_most(&text, 10_000));
    }

    #[test]
    fn attributes_weigh_as_well() {
        let title = "x".repeat(3_200);
        assert!(is_at_most(&format!("<b title={title}>x</b>"), 104));
        assert!(!is_at_most(&format!("<b title={title}>x</b>"), 100));
    }
}
