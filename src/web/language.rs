//! The languages of the pages, and which one a person reads.

use super::texts::{DE, EN, Texts};

/// A language that the pages are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English, for whoever reads none of the others.
    #[default]
    En,
    /// German.
    De,
}

impl Language {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::En, Self::De];

    /// More ranges than this are not read; real ones have a handful.
    const MAX_RANGES: usize = 32;

    /// The language tag (BCP 47), for `<html lang>` and `Content-Language`.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }

    /// The language for a person: what the app asks for (`ui_locales`, `OpenID` Connect Core
    /// §3.1.2.1, in order of preference), then what the browser does (`Accept-Language`, RFC 9110
    /// §12.5.4), then English. What makes no sense is passed over.
    #[must_use]
    pub fn choose(ui_locales: &[String], accept_language: Option<&str>) -> Self {
        let mut asked = ui_locales.iter().take(Self::MAX_RANGES);
        asked
            .find_map(|tag| Self::of_tag(tag))
            .or_else(|| Self::accepted(accept_language?))
            .unwrap_or_default()
    }

    /// The language of a tag, whatever the region: `de-AT` is German. Also of `de_AT`, which is no
    /// tag but what several platforms call it.
    fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split(['-', '_']).next()?;
        Self::ALL
            .into_iter()
            .find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    /// The best of the languages that a header accepts.
    fn accepted(header: &str) -> Option<Self> {
        let mut best: Option<(Self, u16)> = None;
        let mut refused = Vec::new();
        let mut anything = 0;
        for range in header.split(',').take(Self::MAX_RANGES) {
            let (tag, parameter) = range.split_once(';').unwrap_or((range, "q=1"));
            let Some(quality) = quality(parameter) else {
                continue;
            };
            match Self::of_tag(tag) {
                Some(language) if quality == 0 => refused.push(language),
                Some(language) if best.is_none_or(|(_, most)| quality > most) => {
                    best = Some((language, quality));
                }
                None if tag.trim() == "*" => anything = quality,
                Some(_) | None => {}
            }
        }
        match best {
            Some((language, quality)) if quality >= anything => Some(language),
            // RFC 4647 §3.3.1: `*` is any language that no other range names.
            _ if anything > 0 => Self::ALL
                .into_iter()
                .find(|language| !refused.contains(language)),
            _ => None,
        }
    }

    pub(super) fn texts(self) -> &'static Texts {
        match self {
            Self::En => &EN,
            Self::De => &DE,
        }
    }
}

/// The weight of a range in thousandths: `q=0.85` is 850.
fn quality(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("q") {
        return None;
    }
    let (whole, fraction) = match value.trim().split_once('.') {
        Some((whole, fraction)) => (whole, fraction),
        None => (value.trim(), ""),
    };
    let is_short = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" if is_short => Some(thousandths),
        "1" if is_short && thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(ui_locales: &[&str], accept_language: &str) -> Language {
        let ui_locales: Vec<String> = ui_locales.iter().map(ToString::to_string).collect();
        Language::choose(&ui_locales, Some(accept_language))
    }

    #[test]
    fn the_app_is_asked_before_the_browser() {
        assert_eq!(chosen(&["de"], "en"), Language::De);
        assert_eq!(chosen(&["fr", "DE-at", "en"], "en"), Language::De);
        assert_eq!(chosen(&["de_CH"], "en"), Language::De);
        assert_eq!(chosen(&["fr", "", "\u{0}", "🦀"], "de"), Language::De);
    }

    #[test]
    fn the_language_that_a_browser_likes_best_is_chosen() {
        for (header, expected) in [
            ("de", Language::De),
            ("de-DE,de;q=0.9,en;q=0.8", Language::De),
            ("en-GB,en;q=0.9,de;q=0.8", Language::En),
            ("en;q=0.2, de-AT ; q=0.7", Language::De),
            ("fr, de;q=0.001", Language::De),
            ("de;q=0.5,en;q=0.5", Language::De),
            ("*", Language::En),
            ("de;q=0.1, *;q=0.5", Language::En),
            ("en;q=0, *;q=0.5", Language::De),
            ("fr-FR,fr", Language::En),
            ("de;q=0", Language::En),
        ] {
            assert_eq!(chosen(&[], header), expected, "{header}");
        }
        assert_eq!(Language::choose(&[], None), Language::En);
    }

    #[test]
    fn a_header_that_makes_no_sense_does_no_harm() {
        let endless = "x,".repeat(100_000) + "de";
        for header in [
            "",
            ",",
            ";",
            ";;;q==",
            "de;q",
            "de;q=2",
            "de;q=1.5",
            "de;q=-1",
            "de;q=0.0000",
            "de;q=0.é",
            "de;q=+1",
            "de;level=1",
            "deutsch",
            "--",
            "\u{0}\u{ff}",
            &endless,
        ] {
            assert_eq!(chosen(&[], header), Language::En, "{header:.40}");
        }
        assert_eq!(chosen(&[], ";;, ,q=1,de;q=0.3"), Language::De);
    }

    #[test]
    fn every_language_is_found_by_its_tag() {
        for language in Language::ALL {
            assert_eq!(Language::of_tag(language.tag()), Some(language));
        }
    }
}
