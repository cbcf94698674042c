// SPDX-License-Identifier: Apache-2.0
//! Query strings.

use std::borrow::Cow;

use url::form_urlencoded;

/// Names a source.
pub(super) const SOURCE: &str = "source";

/// Asks for what a collection did instead of its metrics.
pub(super) const DEBUG: &str = "debug";

/// What a query says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    /// All values of `source`, in their order.
    pub(super) sources: Vec<String>,
    /// Whether `debug` is true.
    pub(super) debug: bool,
}

/// Why a query is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Not UTF-8 text.
    NotText,
    /// A parameter that the path does not have. A misspelt one would otherwise ask every source.
    Unknown(String),
    /// A value of `debug` that is neither `true` nor `false`.
    NotAFlag,
}

/// Reads a query of a path that takes the parameters `known`.
///
/// # Errors
/// Any other parameter, and what is not UTF-8.
pub(super) fn parameters(query: Option<&str>, known: &[&str]) -> Result<Parameters, Refused> {
    let is_text = |text: &Cow<'_, str>| !text.contains(char::REPLACEMENT_CHARACTER);
    let mut parameters = Parameters::default();
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if !is_text(&name) || !is_text(&value) {
            return Err(Refused::NotText);
        }
        if !known.contains(&&*name) {
            return Err(Refused::Unknown(name.into_owned()));
        }
        if name == DEBUG {
            parameters.debug = value.parse().map_err(|_| Refused::NotAFlag)?;
        } else {
            parameters.sources.push(value.into_owned());
        }
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Result<Vec<String>, Refused> {
        parameters(Some(query), &[SOURCE]).map(|parameters| parameters.sources)
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
        assert_eq!(parameters(None, &[]), Ok(Parameters::default()));
    }

    #[test]
    fn other_parameters_are_named() {
        let unknown = |name: &str| Err(Refused::Unknown(name.to_owned()));
        assert_eq!(of("source=a&target=b"), unknown("target"));
        assert_eq!(of("source[]=a"), unknown("source[]"));
        assert_eq!(of("source%5B%5D=a"), unknown("source[]"));
        assert_eq!(of("Source=a"), unknown("Source"));
        assert_eq!(of("=a"), unknown(""));
        assert_eq!(of("source=a&debug=true"), unknown("debug"));
        assert_eq!(parameters(Some("source=a"), &[]).map(|p| p.sources), unknown("source"));
        for query in ["source=%ff", "%ff=1", "x=%ff"] {
            assert_eq!(of(query), Err(Refused::NotText), "{query}");
        }
    }

    #[test]
    fn a_flag_is_true_or_false() {
        let debug = |query: &str| parameters(Some(query), &[SOURCE, DEBUG]).map(|p| p.debug);
        assert_eq!(debug("source=a&debug=true"), Ok(true));
        assert_eq!(debug("debug=false&source=a"), Ok(false));
        assert_eq!(debug("source=a"), Ok(false));
        for query in ["debug", "debug=", "debug=1", "debug=TRUE", "debug=true%20"] {
            assert_eq!(debug(query), Err(Refused::NotAFlag), "{query}");
        }
    }
}
