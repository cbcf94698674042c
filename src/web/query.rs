//! Query strings.

/// The parameters of a query are not UTF-8 text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotText;

/// All values of the parameter `name`, in their order. Percent signs that encode nothing stand
/// for themselves, as in browsers.
pub(super) fn values(query: Option<&str>, name: &str) -> Result<Vec<String>, NotText> {
    let mut values = Vec::new();
    for pair in query.unwrap_or_default().split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if decode(key)? == name {
            values.push(decode(value)?);
        }
    }
    Ok(values)
}

fn decode(text: &str) -> Result<String, NotText> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'+', _) => decoded.push(b' '),
            (b'%', [high, low, beyond @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    decoded.push(high << 4 | low);
                    rest = beyond;
                }
                _ => decoded.push(b'%'),
            },
            _ => decoded.push(*first),
        }
    }
    String::from_utf8(decoded).map_err(|_| NotText)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(query: &str) -> Result<Vec<String>, NotText> {
        values(Some(query), "source")
    }

    #[test]
    fn decodes_and_ignores_what_is_not_asked_for() {
        assert_eq!(sources("source=a&x=1&source=b"), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(sources("%73ource=h%71%2Dpbx+1"), Ok(vec!["hq-pbx 1".to_owned()]));
        assert_eq!(sources("source=%E5%8C%97"), Ok(vec!["北".to_owned()]));
        assert_eq!(sources("source"), Ok(vec![String::new()]));
        assert_eq!(sources(""), Ok(vec![]));
        assert_eq!(values(None, "source"), Ok(vec![]));
    }

    #[test]
    fn survives_nonsense() {
        for (query, value) in [("source=%", "%"), ("source=%4", "%4"), ("source=%zz%41", "%zzA")] {
            assert_eq!(sources(query), Ok(vec![value.to_owned()]), "{query}");
        }
        assert_eq!(sources("source=%ff"), Err(NotText));
        assert_eq!(sources("%ff=1"), Err(NotText));
    }
}
