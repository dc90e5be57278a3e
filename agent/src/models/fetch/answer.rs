//! What a server's answers say, and where they may send a request.

use reqwest::header::{ETAG, HeaderMap, LAST_MODIFIED};
use reqwest::redirect::{Action, Attempt};

/// Redirects in a row.
const REDIRECTS: usize = 10;

/// Only to where nobody can change on the way what is sent, unless the file's own address is such already.
pub(super) fn follow(attempt: Attempt<'_>) -> Action {
    if attempt.previous().len() > REDIRECTS {
        return attempt.error("it is redirected again and again");
    }
    let is_secure = attempt.url().scheme() == "https";
    let is_same = attempt
        .previous()
        .last()
        .is_some_and(|from| from.scheme() == "http" && from.origin() == attempt.url().origin());
    if is_secure || is_same {
        attempt.follow()
    } else {
        let host = attempt.url().host_str().unwrap_or("nowhere").to_owned();
        attempt.error(format!("it is redirected to {host} without https"))
    }
}

/// What the server calls this very version of the file, if it can be asked for by that.
pub(super) fn validator(headers: &HeaderMap) -> Option<&str> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    // A weak tag says that two versions are as good as the same, which is not enough here.
    let tag = text(ETAG).filter(|tag| tag.starts_with('"'));
    tag.or_else(|| text(LAST_MODIFIED))
}

/// The first byte and the total of `bytes 100-199/200`; the total may be `*`.
pub(super) fn parse_range(range: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = range.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    let total = match total {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    Some((start.parse().ok()?, total))
}

/// The system's own words. The errors around them hold addresses, and one that a server redirects to may hold a key.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_tells_where_it_begins_and_of_how_much() {
        assert_eq!(parse_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(parse_range("bytes 5-9/*"), Some((5, None)));
        for none in ["", "bytes */10", "bytes 5-9", "5-9/10", "bytes 5-9/x"] {
            assert_eq!(parse_range(none), None, "{none}");
        }
    }
}
