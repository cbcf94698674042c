// SPDX-License-Identifier: Apache-2.0
//! Answers in XML as trees, and back.
//!
//! An element with elements in it is a map of these, or a list of maps where two of them have the same
//! name; any other element is its text. Attributes are left out: no system says anything in them.

use std::collections::HashSet;

use quick_xml::{Reader, escape::escape, events::Event};

use super::node::Node;
use crate::net::{json::BYTE_ORDER_MARK, xml};

/// The document in `answer`; `None`: it is none that the exporter would read, or its outermost element
/// is not one of those that `is_expected`.
pub(super) fn read(answer: &[u8], is_expected: impl Fn(&str) -> bool) -> Option<Node> {
    let text = std::str::from_utf8(answer.strip_prefix(BYTE_ORDER_MARK).unwrap_or(answer)).ok()?;
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut open = vec![Element::default()];
    let mut is_checked = false;
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                let name = start.name().0.to_owned();
                // The document is read as strictly as by those who look for something in it.
                if !is_checked {
                    if !is_expected(&name) {
                        return None;
                    }
                    xml::Xml::read(answer, &name, |_, _| Ok(())).ok()?;
                    is_checked = true;
                }
                open.push(Element { name, ..Element::default() });
            }
            Event::End(_) => {
                let Element { name, entries, text } = open.pop()?;
                open.last_mut()?.entries.push((name, node(entries, &text)));
            }
            Event::Text(part) => open.last_mut()?.text.push_str(&part.into_inner()),
            Event::CData(part) => open.last_mut()?.text.push_str(&part.into_inner()),
            Event::GeneralRef(reference) => {
                open.last_mut()?.text.push(xml::character(&reference).ok()?);
            }
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::DocType(_) | Event::Empty(_) => return None,
        }
    }
    let document = open.pop().filter(|document| !document.entries.is_empty())?;
    Some(Node::Map(document.entries))
}

/// An element that is open: what is in it so far.
#[derive(Default)]
struct Element {
    name: String,
    entries: Vec<(String, Node)>,
    text: String,
}

fn node(entries: Vec<(String, Node)>, text: &str) -> Node {
    if entries.is_empty() {
        return Node::Text(text.trim().to_owned());
    }
    let mut names = HashSet::new();
    if entries.iter().all(|(name, _)| names.insert(name.as_str())) {
        return Node::Map(entries);
    }
    Node::List(entries.into_iter().map(|entry| Node::Map(vec![entry])).collect())
}

/// The document as it would have come.
pub(super) fn write(document: &Node) -> String {
    let mut text = String::new();
    append(document, &mut text);
    text
}

fn append(node: &Node, text: &mut String) {
    match node {
        // XML has no numbers, and so none that is out of range.
        Node::Null | Node::Beyond => {}
        Node::Flag(flag) => text.push_str(if *flag { "true" } else { "false" }),
        Node::Number(number) => text.push_str(&number.to_string()),
        Node::Text(content) => text.push_str(&escape(content.as_str())),
        Node::List(items) => items.iter().for_each(|item| append(item, text)),
        Node::Map(entries) => {
            for (name, content) in entries {
                for part in ["<", name, ">"] {
                    text.push_str(part);
                }
                append(content, text);
                for part in ["</", name, ">"] {
                    text.push_str(part);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_a_tree_and_back() {
        let xml = "<?xml version=\"1.0\"?><r a=\"gone\">\n<a> 1 </a><b/><b>x &amp; <![CDATA[<y>]]></b>\
                   <c><d>&lt;</d> gone </c></r>";
        let tree = read(xml.as_bytes(), |root| root == "r").expect("a document");
        let json = serde_json::to_value(&tree).unwrap();
        let expected = serde_json::json!({ "r": [
            { "a": "1" }, { "b": "" }, { "b": "x & <y>" }, { "c": { "d": "<" } },
        ] });
        assert_eq!(json, expected);
        assert_eq!(
            write(&tree),
            "<r><a>1</a><b></b><b>x &amp; &lt;y&gt;</b><c><d>&lt;</d></c></r>"
        );
        assert_eq!(read(write(&tree).as_bytes(), |_| true), Some(tree));
        assert_eq!(read(xml.as_bytes(), |root| root == "a"), None);
    }

    #[test]
    fn what_would_not_be_read_is_no_document() {
        for xml in
            ["", "text", "{}", "<a>", "<a></b>", "<a/><b/>", "<!DOCTYPE a><a/>", "<a>&unknown;</a>"]
        {
            assert_eq!(read(xml.as_bytes(), |_| true), None, "{xml}");
        }
    }
}
