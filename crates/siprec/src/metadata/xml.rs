//! The XML under the metadata; the only file that names roxmltree.
//!
//! DTDs, and with them entities, are refused; how much is read is bounded before it is parsed.

use std::borrow::Cow;

use roxmltree::{Document, Error, Node, ParsingOptions};

use super::{BadMetadata, MetadataLimits};

/// Prefixes without a declaration that are forgiven: AudioCodes documents `<ac:AvayaUCID
/// xmlns="…">`.
const UNDECLARED_MAX: usize = 8;

/// An element. Names are compared without their namespaces and in any case.
#[derive(Clone, Copy)]
pub(super) struct Element<'a>(Node<'a, 'a>);

/// Reads the document in `text`, forgiving what stands before and behind its root.
pub(super) fn with_root<T>(
    text: &str,
    limits: &MetadataLimits,
    read: impl FnOnce(Element<'_>) -> T,
) -> Result<T, BadMetadata> {
    let mut text = Cow::Borrowed(cut(text)?);
    check_density(&text, limits)?;
    let mut forgiven = 0;
    loop {
        let options = ParsingOptions {
            nodes_limit: limits.nodes_max,
            ..ParsingOptions::default()
        };
        let undeclared = match Document::parse_with_options(&text, options) {
            Ok(document) => return Ok(read(Element(document.root_element()))),
            Err(Error::UnknownNamespace(prefix, _)) if forgiven < UNDECLARED_MAX => prefix,
            Err(error) => return Err(unusable(&error)),
        };
        forgiven += 1;
        text = Cow::Owned(declaring(&text, &undeclared)?);
    }
}

impl<'a> Element<'a> {
    /// The local name, as written.
    pub(super) fn name(self) -> &'a str {
        self.0.tag_name().name()
    }

    pub(super) fn is(self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name)
    }

    /// The first of these attributes that is there and not empty.
    pub(super) fn attribute(self, names: &[&str]) -> Option<&'a str> {
        let named = |name: &&str| {
            let same = |attribute: &roxmltree::Attribute<'_, '_>| {
                attribute.name().eq_ignore_ascii_case(name)
            };
            let value = self.0.attributes().find(same)?.value().trim();
            (!value.is_empty()).then_some(value)
        };
        names.iter().find_map(named)
    }

    pub(super) fn children(self) -> impl Iterator<Item = Self> {
        self.0.children().filter(Node::is_element).map(Self)
    }

    pub(super) fn child(self, name: &str) -> Option<Self> {
        self.children().find(|child| child.is(name))
    }

    /// Every element inside, in the document's order.
    pub(super) fn inside(self) -> impl Iterator<Item = Self> {
        let descendants = self.0.descendants().skip(1);
        descendants.filter(Node::is_element).map(Self)
    }

    pub(super) fn find(self, name: &str) -> Option<Self> {
        self.inside().find(|element| element.is(name))
    }

    pub(super) fn parent(self) -> Option<Self> {
        self.0.parent_element().map(Self)
    }

    /// Its own text, trimmed; `None` if there is none.
    pub(super) fn text(self) -> Option<String> {
        let texts = self.0.children().filter(Node::is_text);
        let text: String = texts.filter_map(|node| node.text()).collect();
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// From the first `<` to the end of the root element: clients put blank lines before a document
/// and bytes behind it.
fn cut(text: &str) -> Result<&str, BadMetadata> {
    let begin = text.find('<').ok_or_else(|| bad("it is no XML"))?;
    let text = &text[begin..];
    let (_, name) = root(text).ok_or_else(|| bad("it has no root element"))?;
    let closing = format!("</{name}");
    let ends = text.match_indices(&closing).find_map(|(at, _)| {
        let rest = &text[at + closing.len()..];
        let blanks = rest.len() - rest.trim_start().len();
        rest[blanks..]
            .starts_with('>')
            .then_some(at + closing.len() + blanks + 1)
    });
    Ok(&text[..ends.unwrap_or(text.len())])
}

/// Where the root's start tag ends its name, and the name with its prefix.
fn root(text: &str) -> Option<(usize, &str)> {
    let mut at = 0;
    loop {
        at += text[at..].find('<')?;
        let rest = &text[at..];
        let skipped = match rest {
            _ if rest.starts_with("<?") => rest.find("?>")?,
            _ if rest.starts_with("<!--") => rest.find("-->")?,
            _ if rest.starts_with("<!") => rest.find('>')?,
            _ => {
                let name = &rest[1..];
                let ends = |c: char| c.is_whitespace() || matches!(c, '>' | '/');
                let length = name.find(ends)?;
                return (length > 0).then(|| (at + 1 + length, &name[..length]));
            }
        };
        at += skipped;
    }
}

/// Comparing the attributes of an element takes the square of their number, and inherited
/// namespaces are copied; both are counted before. No `<` can be inside an attribute.
fn check_density(text: &str, limits: &MetadataLimits) -> Result<(), BadMetadata> {
    let crowded = |tag: &str| tag.matches('=').count() > limits.attributes_max;
    let declarations = text.matches("xmlns").count();
    if declarations > limits.namespaces_max || text.split('<').any(crowded) {
        return Err(BadMetadata::TooLarge);
    }
    Ok(())
}

fn declaring(text: &str, prefix: &str) -> Result<String, BadMetadata> {
    let (at, _) = root(text).ok_or_else(|| bad("it has no root element"))?;
    let (head, tail) = text.split_at(at);
    Ok(format!(
        "{head} xmlns:{prefix}=\"urn:undeclared:{prefix}\"{tail}"
    ))
}

/// Errors of the parser may hold words of the document; only where it failed is repeated.
fn unusable(error: &Error) -> BadMetadata {
    match error {
        Error::AttributesLimitReached
        | Error::NamespacesLimitReached
        | Error::NodesLimitReached => BadMetadata::TooLarge,
        Error::DtdDetected => bad("it has a document type declaration"),
        Error::MalformedEntityReference(_) | Error::UnknownEntityReference(_, _) => {
            bad("it has an entity that is not declared")
        }
        error => {
            let position = error.pos();
            let (row, column) = (position.row, position.col);
            BadMetadata::Unreadable(format!("it is not well-formed at {row}:{column}"))
        }
    }
}

fn bad(why: &str) -> BadMetadata {
    BadMetadata::Unreadable(why.to_owned())
}
