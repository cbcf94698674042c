// SPDX-License-Identifier: Apache-2.0
//! From the bytes of an answer in XML to the elements that are wanted of it.
//!
//! The reader is strict where an answer could do harm or be misread: no document type, so no entities of its own and
//! nothing to fetch; a limited depth; one element that holds all, with an end; UTF-8 and nothing else.

use std::borrow::Cow;

use quick_xml::{
    Error, Reader,
    events::{BytesDecl, BytesRef, Event},
};

use super::{Fault, json::BYTE_ORDER_MARK};
use crate::model::Reason;

/// Deepest nesting of an answer, as for JSON.
const MAX_DEPTH: usize = 128;

/// A document that is read from its beginning to its end.
pub struct Xml<'a> {
    reader: Reader<&'a [u8]>,
    /// Elements that are open.
    depth: usize,
}

const fn decode() -> Fault {
    Fault::new(Reason::Decode)
}

impl<'a> Xml<'a> {
    /// Reads the document in `answer`, whose one outermost element must be `root`: `each` is called
    /// for each of the elements directly in it, as by [`Xml::children`].
    ///
    /// # Errors
    /// [`Reason::Decode`] for anything but such a document, and what `each` found.
    pub fn read(
        answer: &'a [u8],
        root: &str,
        each: impl FnMut(&mut Self, &str) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let answer = answer.strip_prefix(BYTE_ORDER_MARK).unwrap_or(answer);
        // Whether it is UTF-8 the reader sees part by part.
        let mut reader = Reader::from_reader(answer);
        reader.config_mut().expand_empty_elements = true;
        let mut xml = Self { reader, depth: 0 };
        match xml.outside(true) {
            Some(Event::Start(start)) if start.name().0 == root => {}
            _ => return Err(decode()),
        }
        xml.skip_blanks(true);
        xml.children(each)?;
        if matches!(xml.outside(false), Some(Event::Eof)) { Ok(()) } else { Err(decode()) }
    }

    /// Calls `each` for each of the elements directly in the one that was entered last, with its
    /// name. What `each` leaves of an element is skipped.
    ///
    /// # Errors
    /// [`Reason::Decode`] for what is no XML, and what `each` found.
    pub fn children(
        &mut self,
        mut each: impl FnMut(&mut Self, &str) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let inside = self.depth;
        while self.depth >= inside {
            let event = self.reader.read_event();
            match self.note(&event) {
                Some(Event::Start(start)) if self.depth == inside + 1 => {
                    each(self, start.name().0)?;
                }
                Some(Event::Decl(_) | Event::DocType(_) | Event::Eof) | None => {
                    return Err(decode());
                }
                // Text between elements means nothing in the answers that are read here.
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// The text of the element that was entered last, without blanks around it.
    ///
    /// # Errors
    /// [`Reason::Decode`] for an element with others in it, and for what is no XML.
    pub fn text(&mut self) -> Result<Cow<'a, str>, Fault> {
        let mut text = Cow::Borrowed("");
        self.skip_blanks(false);
        loop {
            let event = self.reader.read_event();
            self.note(&event).ok_or(decode())?;
            let part = match event {
                Ok(Event::Text(part)) => part.into_inner(),
                Ok(Event::CData(part)) => part.into_inner(),
                Ok(Event::GeneralRef(reference)) => character(&reference)?.to_string().into(),
                Ok(Event::End(_)) => break,
                Ok(Event::Comment(_) | Event::PI(_)) => continue,
                Ok(
                    Event::Start(_)
                    | Event::Empty(_)
                    | Event::Decl(_)
                    | Event::DocType(_)
                    | Event::Eof,
                )
                | Err(_) => return Err(decode()),
            };
            if text.is_empty() {
                text = part;
            } else {
                text.to_mut().push_str(&part);
            }
        }
        self.skip_blanks(true);
        Ok(match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        })
    }

    /// Blanks at the beginning of a text mean nothing between elements, where half of all texts are
    /// blanks alone. In a text they part words: "Tom &amp; Jerry" has three parts.
    fn skip_blanks(&mut self, skip: bool) {
        self.reader.config_mut().trim_text_start = skip;
    }

    /// What comes before or behind the outermost element: its start, or the end of the document; `None`: anything else.
    fn outside(&mut self, is_before: bool) -> Option<Event<'a>> {
        let mut is_first = is_before;
        loop {
            let event = self.reader.read_event();
            match self.note(&event)? {
                // It can only be the first thing in a document.
                Event::Decl(declaration) if is_first && is_utf_8(declaration) => {}
                Event::Text(text) if text.trim_ascii().is_empty() => {}
                Event::Comment(_) | Event::PI(_) => {}
                Event::Start(_) | Event::Eof => return event.ok(),
                Event::Text(_)
                | Event::Decl(_)
                | Event::End(_)
                | Event::Empty(_)
                | Event::CData(_)
                | Event::DocType(_)
                | Event::GeneralRef(_) => return None,
            }
            is_first = false;
        }
    }

    /// Notes what `event` opens or closes; `None`: it is no XML, or nests too deep. Events are looked at where they are:
    /// moving them about took half of the time of reading.
    fn note<'e>(&mut self, event: &'e Result<Event<'a>, Error>) -> Option<&'e Event<'a>> {
        let event = event.as_ref().ok()?;
        match event {
            Event::Start(start) => {
                self.depth += 1;
                if self.depth > MAX_DEPTH || !is_name(start.name().0) {
                    return None;
                }
            }
            // The reader has compared its name with that of the start.
            Event::End(_) => self.depth = self.depth.checked_sub(1)?,
            Event::GeneralRef(reference) => drop(character(reference).ok()?),
            Event::Empty(_)
            | Event::Text(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_)
            | Event::Eof => {}
        }
        Some(event)
    }
}

/// The character that `&name;` or `&#number;` stands for. Without a document type there are five names.
pub(crate) fn character(reference: &BytesRef<'_>) -> Result<char, Fault> {
    match &**reference {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "apos" => Ok('\''),
        "quot" => Ok('"'),
        _ => reference.resolve_char_ref().ok().flatten().ok_or(decode()),
    }
}

/// Whether a declaration leaves the encoding at UTF-8.
fn is_utf_8(declaration: &BytesDecl<'_>) -> bool {
    match declaration.encoding() {
        None => true,
        Some(Ok(encoding)) => encoding.eq_ignore_ascii_case("utf-8"),
        Some(Err(_)) => false,
    }
}

/// Whether XML allows this name for an element; the reader takes any.
fn is_name(name: &str) -> bool {
    name.bytes().next().is_some_and(begins_name)
        && name.bytes().all(|byte| IN_NAMES[usize::from(byte)])
}

/// All bytes of a character beyond ASCII do.
const fn begins_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':' | 0x80..)
}

/// Which bytes a name may have. A table, because half of an answer is names.
static IN_NAMES: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte = 0_u8;
    loop {
        allowed[byte as usize] =
            begins_name(byte) || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        if byte == u8::MAX {
            break allowed;
        }
        byte += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts of the elements `a` in `r`.
    fn read(xml: &[u8]) -> Result<Vec<String>, Fault> {
        let mut texts = Vec::new();
        Xml::read(xml, "r", |xml, name| {
            if name == "a" {
                texts.push(xml.text()?.into_owned());
            }
            Ok(())
        })?;
        Ok(texts)
    }

    #[test]
    fn texts_are_read_in_every_spelling() {
        for (xml, text) in [
            ("<r><a>7</a></r>", "7"),
            (
                "\u{feff}<?xml version='1.0' encoding='utf-8'?>\n<!-- c --><?pi x?><r><a> 7\r\n</a></r>\n<!-- c -->",
                "7",
            ),
            ("<?xml version=\"1.0\"?><r b='1'><a c=\"<\">7</a></r>", "7"),
            ("<r><a><![CDATA[7]]></a></r>", "7"),
            ("<r><a>1<!-- 2 -->3<![CDATA[<4>]]>&amp;&#53;&#x36;</a></r>", "13<4>&56"),
            ("<r><a>&lt;&gt;&amp;&apos;&quot;</a></r>", "<>&'\""),
            ("<r><a/></r>", ""),
            ("<r><a></a></r>", ""),
            ("<r>text<b><a>other</a><c/></b><a>7</a>text</r>", "7"),
        ] {
            assert_eq!(read(xml.as_bytes()), Ok(vec![text.to_owned()]), "{xml}");
        }
        assert_eq!(read(b"<r/>"), Ok(Vec::new()));
        assert_eq!(read("<r><ä-1.b:c_/></r>".as_bytes()), Ok(Vec::new()));
    }

    #[test]
    fn what_could_do_harm_or_is_no_document_is_refused() {
        let bomb = "<!DOCTYPE r [<!ENTITY a \"aa\"><!ENTITY b \"&a;&a;\">]><r><a>&b;</a></r>";
        for xml in [
            "",
            " ",
            "7",
            "{\"r\":7}",
            "<html><body>Login</body></html>",
            bomb,
            "<!DOCTYPE r><r/>",
            "<!DOCTYPE r SYSTEM \"http://127.0.0.1/x.dtd\"><r/>",
            "<r><!DOCTYPE r></r>",
            "<r><a>&unknown;</a></r>",
            "<r><b>&unknown;</b></r>",
            "<r><a>&#0;</a></r>",
            "<r><a>&#x110000;</a></r>",
            "<r><a>& </a></r>",
            "<r><a>7</r></a>",
            "<r><a>7</a>",
            "<r><a>7",
            "<r><a",
            "<r",
            "<r/><r/>",
            "<r/>7",
            "7<r/>",
            "<r/><![CDATA[7]]>",
            "<r/>&amp;",
            "</r>",
            "<r></r></r>",
            "<r><2nd>x</2nd></r>",
            "<r>< a>x</a></r>",
            "<r><a><b>7</b></a></r>",
            "<r><!-- ",
            "<r><![CDATA[ </r>",
            " <?xml version=\"1.0\"?><r/>",
            "<r><?xml version=\"1.0\"?></r>",
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><r/>",
            "<?xml version=\"1.0\" encoding=\"UTF-16\"?><r/>",
        ] {
            assert_eq!(read(xml.as_bytes()), Err(decode()), "{xml}");
        }
        for bytes in [&b"<r><b>\xFC</b></r>"[..], b"\xFF\xFE<\0r\0/\0>\0", b"<r>\xED\xA0\x80</r>"] {
            assert_eq!(read(bytes), Err(decode()), "{bytes:?}");
        }
    }

    #[test]
    fn nesting_is_limited_in_what_is_read_and_in_what_is_skipped() {
        for (levels, is_read) in [(1, true), (127, true), (128, false), (10_000, false)] {
            let xml = format!("<r>{}{}<a>7</a></r>", "<b>".repeat(levels), "</b>".repeat(levels));
            assert_eq!(read(xml.as_bytes()).is_ok(), is_read, "{levels}");
        }
        // Side by side is not inside of each other.
        let xml = format!("<r>{}</r>", "<a/>".repeat(10_000));
        assert_eq!(read(xml.as_bytes()).map(|texts| texts.len()), Ok(10_000));
    }
}
