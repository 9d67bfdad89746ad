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

/// A tree of which nothing is kept but its elements' names, as far as the parser holds them.
#[derive(Default)]
struct Scales {
    weight: Cell<usize>,
}

impl Scales {
    fn node() -> Rc<QualName> {
        Rc::new(QualName::new(None, ns!(), local_name!("")))
    }
}

impl TreeSink for Scales {
    type Handle = Rc<QualName>;
    type Output = usize;
    type ElemName<'a> = ExpandedName<'a>;

    fn finish(self) -> usize {
        self.weight.get()
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, _: ElementFlags) -> Rc<QualName> {
        let attributes = attributes.iter().map(|attribute| 1 + attribute.value.len() / ATTRIBUTE_BYTES);
        self.weight.set(self.weight.get() + 1 + attributes.sum::<usize>());
        Rc::new(name)
    }

    fn elem_name<'a>(&'a self, target: &'a Rc<QualName>) -> ExpandedName<'a> {
        target.expanded()
    }

    fn same_node(&self, one: &Rc<QualName>, other: &Rc<QualName>) -> bool {
        Rc::ptr_eq(one, other)
    }

    fn get_document(&self) -> Rc<QualName> {
        Self::node()
    }

    fn get_template_contents(&self, target: &Rc<QualName>) -> Rc<QualName> {
        Rc::clone(target)
    }

    fn create_comment(&self, _: StrTendril) -> Rc<QualName> {
        Self::node()
    }

    fn create_pi(&self, _: StrTendril, _: StrTendril) -> Rc<QualName> {
        Self::node()
    }

    fn parse_error(&self, _: Cow<'static, str>) {}
    fn set_quirks_mode(&self, _: QuirksMode) {}
    fn append(&self, _: &Rc<QualName>, _: NodeOrText<Rc<QualName>>) {}
    fn append_before_sibling(&self, _: &Rc<QualName>, _: NodeOrText<Rc<QualName>>) {}
    fn append_based_on_parent_node(&self, _: &Rc<QualName>, _: &Rc<QualName>, _: NodeOrText<Rc<QualName>>) {}
    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}
    fn add_attrs_if_missing(&self, _: &Rc<QualName>, _: Vec<Attribute>) {}
    fn remove_from_parent(&self, _: &Rc<QualName>) {}
    fn reparent_children(&self, _: &Rc<QualName>, _: &Rc<QualName>) {}
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

    #[test]
    fn attributes_weigh_as_well() {
        let title = "x".repeat(3_200);
        assert!(is_at_most(&format!("<b title={title}>x</b>"), 104));
        assert!(!is_at_most(&format!("<b title={title}>x</b>"), 100));
    }
}
