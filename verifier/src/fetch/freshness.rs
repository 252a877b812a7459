//! How long a fetched document may be used, by its cache headers (RFC 9111 §4.2).

use std::time::Duration;

use reqwest::header::{AGE, CACHE_CONTROL, HeaderMap};

/// Without cache headers: what our server sends, too.
const DEFAULT: Duration = Duration::from_mins(5);

/// The rest of the document's freshness lifetime; the caller bounds it.
pub(super) fn fresh_for(headers: &HeaderMap) -> Duration {
    let mut max_age = None;
    for value in headers.get_all(CACHE_CONTROL) {
        let Ok(value) = value.to_str() else { continue };
        for directive in value.split(',').map(str::trim) {
            if directive.eq_ignore_ascii_case("no-store")
                || directive.eq_ignore_ascii_case("no-cache")
            {
                return Duration::ZERO;
            }
            let Some((name, seconds)) = directive.split_once('=') else {
                continue;
            };
            if name.eq_ignore_ascii_case("max-age") {
                // RFC 9111 §4.2.1: of two values the lower, of an unreadable one nothing.
                let seconds = seconds.trim_matches('"').parse::<u64>().unwrap_or(0);
                max_age = Some(max_age.map_or(seconds, |other: u64| other.min(seconds)));
            }
        }
    }
    // What a cache on the way has already used up.
    let age = headers
        .get(AGE)
        .and_then(|age| age.to_str().ok()?.parse::<u64>().ok())
        .unwrap_or(0);
    max_age.map_or(DEFAULT, |max_age| {
        Duration::from_secs(max_age.saturating_sub(age))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(headers: &[(&'static str, &'static str)]) -> u64 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        fresh_for(&map).as_secs()
    }

    #[test]
    fn max_age_less_age_decides() {
        assert_eq!(seconds(&[]), 300);
        assert_eq!(seconds(&[("cache-control", "public, max-age=600")]), 600);
        assert_eq!(seconds(&[("cache-control", "Max-Age=\"7\"")]), 7);
        assert_eq!(
            seconds(&[("cache-control", "max-age=600"), ("age", "100")]),
            500
        );
        assert_eq!(
            seconds(&[("cache-control", "max-age=10"), ("age", "100")]),
            0
        );
        assert_eq!(seconds(&[("cache-control", "max-age=600, max-age=60")]), 60);
        assert_eq!(seconds(&[("cache-control", "max-age=600, no-cache")]), 0);
        assert_eq!(seconds(&[("cache-control", "max-age=soon")]), 0);
        assert_eq!(seconds(&[("cache-control", "s-maxage=5")]), 300);
    }
}
