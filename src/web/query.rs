//! Query strings.

use std::borrow::Cow;

use url::form_urlencoded;

/// The only parameter, of `/metrics` and `/probe`.
const SOURCE: &str = "source";

/// Why a query is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Not UTF-8 text.
    NotText,
    /// A parameter that the path does not have. A misspelt one would otherwise ask every source.
    Unknown(String),
}

/// All values of the parameter `source`, in their order, where the path `takes_sources`.
///
/// # Errors
/// Any other parameter, and what is not UTF-8.
pub(super) fn sources(query: Option<&str>, takes_sources: bool) -> Result<Vec<String>, Refused> {
    let is_text = |text: &Cow<'_, str>| !text.contains(char::REPLACEMENT_CHARACTER);
    let mut sources = Vec::new();
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if !is_text(&name) || !is_text(&value) {
            return Err(Refused::NotText);
        }
        if !takes_sources || name != SOURCE {
            return Err(Refused::Unknown(name.into_owned()));
        }
        sources.push(value.into_owned());
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Result<Vec<String>, Refused> {
        sources(Some(query), true)
    }

    #[test]
    fn values_are_decoded() {
        assert_eq!(of("source=a&source=b"), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(of("%73ource=h%71%2Dpbx+1"), Ok(vec!["hq-pbx 1".to_owned()]));
        assert_eq!(of("source=%E5%8C%97"), Ok(vec!["北".to_owned()]));
        assert_eq!(of("source"), Ok(vec![String::new()]));
        for (query, value) in [("source=%", "%"), ("source=%4", "%4"), ("source=%zz%41", "%zzA")] {
            assert_eq!(of(query), Ok(vec![value.to_owned()]), "{query}");
        }
        for nothing in ["", "&", "&&"] {
            assert_eq!(of(nothing), Ok(vec![]), "{nothing}");
        }
        assert_eq!(sources(None, false), Ok(vec![]));
    }

    #[test]
    fn other_parameters_are_named() {
        let unknown = |name: &str| Err(Refused::Unknown(name.to_owned()));
        assert_eq!(of("source=a&target=b"), unknown("target"));
        assert_eq!(of("source[]=a"), unknown("source[]"));
        assert_eq!(of("source%5B%5D=a"), unknown("source[]"));
        assert_eq!(of("Source=a"), unknown("Source"));
        assert_eq!(of("=a"), unknown(""));
        assert_eq!(sources(Some("source=a"), false), unknown("source"));
        for query in ["source=%ff", "%ff=1", "x=%ff"] {
            assert_eq!(of(query), Err(Refused::NotText), "{query}");
        }
    }
}
