//! What a person reads in the list of their sessions to tell one device from another.

use std::fmt;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Deserializer, Serialize};

/// A name for a device: 1 to 64 characters on one line.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct DeviceLabel(String);

/// Why a text is not a name for a device.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a device label is 1 to 64 characters without control characters")]
pub struct InvalidDeviceLabel;

impl DeviceLabel {
    const MAX_CHARACTERS: usize = 64;

    /// As much of a `User-Agent` as is read. Real ones have half of it.
    const MAX_USER_AGENT_BYTES: usize = 512;

    /// Takes a name that an application gave, without white space around it.
    pub fn parse(text: &str) -> Result<Self, InvalidDeviceLabel> {
        let text = text.trim();
        let is_too_long = text.chars().nth(Self::MAX_CHARACTERS).is_some();
        if text.is_empty() || is_too_long || text.chars().any(misleads) {
            return Err(InvalidDeviceLabel);
        }
        Ok(Self(text.to_owned()))
    }

    /// A name such as `Chrome on Windows`, made from a `User-Agent` (RFC 9110 §10.1.5).
    ///
    /// Never the header itself: nobody wants to read it, and it may be kilobytes of anything. It
    /// is a help for a person and proves nothing: everybody chooses their own header.
    #[must_use]
    pub fn of_user_agent(header: &str) -> Option<Self> {
        let header = header
            .get(..header.floor_char_boundary(Self::MAX_USER_AGENT_BYTES))?
            .trim();
        // All browsers pose as Mozilla; an application begins with its own name.
        let is_browser = ["Mozilla/", "Opera/"]
            .iter()
            .any(|name| header.starts_with(name));
        let platform = first_found(PLATFORMS, header);
        let program = if is_browser {
            browser(header, platform).map(str::to_owned)
        } else {
            application(header)
        };
        let text = match (program, platform) {
            (Some(program), Some(platform)) => format!("{program} on {platform}"),
            (Some(program), None) => program,
            (None, Some(platform)) => platform.to_owned(),
            (None, None) => return None,
        };
        Self::parse(&text).ok()
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DeviceLabel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Control characters, and what breaks lines or turns the direction of the text around the label.
fn misleads(c: char) -> bool {
    let breaks_lines = matches!(c, '\u{2028}' | '\u{2029}');
    let turns_direction = matches!(
        c,
        '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
    );
    c.is_control() || breaks_lines || turns_direction
}

/// What a `User-Agent` contains, and what that is called. The first that is found counts, so the
/// particular stands before what it poses as.
type Table = &'static [(&'static str, &'static str)];

const PLATFORMS: Table = &[
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("iPod", "iPod"),
    ("Android", "Android"), // says Linux too
    ("CrOS", "ChromeOS"),   // says X11, like Linux
    ("Windows", "Windows"),
    ("Darwin/", "iOS"), // the network library of Apple; a phone far more often than a Mac
    ("iOS", "iOS"),     // in browsers too, where one that asks for desktop pages says Macintosh
    ("Macintosh", "macOS"),
    ("macOS", "macOS"),
    ("Linux", "Linux"),
    ("FreeBSD", "FreeBSD"),
    ("OpenBSD", "OpenBSD"),
    ("okhttp/", "Android"), // names no platform, but hardly anything else has people's sessions
];

const SAFARI: &str = "Safari";

const BROWSERS: Table = &[
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edge/", "Edge"),
    ("OPR/", "Opera"),
    ("OPiOS/", "Opera"),
    ("OPT/", "Opera"),
    ("OPX/", "Opera"),
    ("Opera", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("YaBrowser/", "Yandex Browser"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("Ddg/", "DuckDuckGo"),
    ("UCBrowser/", "UC Browser"),
    ("MiuiBrowser/", "Mi Browser"),
    ("HuaweiBrowser/", "Huawei Browser"),
    ("Silk/", "Silk"),
    ("Electron/", "App"), // an application that is a browser inside
    ("; wv)", "App"),     // the browser inside an application of Android
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("GSA/", "Google App"),
    ("Chrome/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Trident/", "Internet Explorer"),
    ("MSIE ", "Internet Explorer"),
    ("Safari/", SAFARI), // nearly all of the above say so too
];

fn first_found(table: Table, header: &str) -> Option<&'static str> {
    table
        .iter()
        .find(|(mark, _)| header.contains(mark))
        .map(|(_, name)| *name)
}

fn browser(header: &str, platform: Option<&str>) -> Option<&'static str> {
    let is_apples = matches!(platform, Some("iPhone" | "iPad" | "iPod" | "macOS"));
    // Where there is no Safari, somebody else's browser says so.
    first_found(BROWSERS, header).map(|name| match name {
        SAFARI if !is_apples => "Browser",
        name => name,
    })
}

/// Name and version of the first product, as in `Acme/3.2.1 CFNetwork/1490 Darwin/23.2.0`.
fn application(header: &str) -> Option<String> {
    const MAX_NAME_CHARACTERS: usize = 32;
    let (name, rest) = header.split_once('/')?;
    // Apple's library encodes names that are not tokens, such as `My%20App`.
    let name = percent_decode_str(name).decode_utf8().ok()?;
    let in_a_name = |c: char| c.is_alphanumeric() || " -_.+&'!".contains(c);
    let fits = name.chars().nth(MAX_NAME_CHARACTERS).is_none();
    if !fits || !name.starts_with(char::is_alphanumeric) || !name.chars().all(in_a_name) {
        return None;
    }
    Some(match major_and_minor(rest) {
        Some(version) => format!("{name}/{version}"),
        None => name.into_owned(),
    })
}

/// `3.2` of `3.2.1-beta …`: more would change with every update.
fn major_and_minor(text: &str) -> Option<&str> {
    const MAX_LENGTH: usize = 12;
    let mut dots = 0;
    let end = text.find(|c: char| {
        dots += usize::from(c == '.');
        !(c.is_ascii_digit() || c == '.') || dots > 1
    });
    let version = text.get(..end.unwrap_or(text.len()))?.trim_end_matches('.');
    let fits = (1..=MAX_LENGTH).contains(&version.len()) && !version.starts_with('.');
    fits.then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(header: &str) -> Option<String> {
        DeviceLabel::of_user_agent(header).map(|label| label.to_string())
    }

    fn assert_labels(expected: &[(&str, &str)]) {
        for (name, header) in expected {
            assert_eq!(label(header).as_deref(), Some(*name), "{header}");
        }
    }

    #[test]
    fn browsers_on_a_desk_have_names() {
        assert_labels(&[
            (
                "Chrome on Windows",
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/131.0.0.0 Safari/537.36",
            ),
            (
                "Edge on Windows",
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/131.0.0.0 Safari/537.36 Edg/131.0.2903.86",
            ),
            (
                "Edge on Windows",
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/70.0.3538.102 Safari/537.36 Edge/18.19042",
            ),
            (
                "Opera on macOS",
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like \
                 Gecko) Chrome/130.0.0.0 Safari/537.36 OPR/115.0.0.0",
            ),
            (
                "Vivaldi on Linux",
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/130.0.0.0 Safari/537.36 Vivaldi/7.0.3495.15",
            ),
            (
                "Firefox on Windows",
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0",
            ),
            (
                "Firefox on Linux",
                "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
            ),
            (
                "Firefox on FreeBSD",
                "Mozilla/5.0 (X11; FreeBSD amd64; rv:133.0) Gecko/20100101 Firefox/133.0",
            ),
            (
                "Safari on macOS",
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like \
                 Gecko) Version/18.1 Safari/605.1.15",
            ),
            (
                "Chrome on ChromeOS",
                "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/131.0.0.0 Safari/537.36",
            ),
            (
                "Browser on Linux",
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 Version/17.0 Safari/605.1.15",
            ),
            (
                "Internet Explorer on Windows",
                "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
            ),
            (
                "Opera on Windows",
                "Opera/9.80 (Windows NT 6.1; WOW64) Presto/2.12.388 Version/12.18",
            ),
            (
                "App on macOS",
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like \
                 Gecko) Acme/4.41 Chrome/130.0.6723.59 Electron/33.0.2 Safari/537.36",
            ),
        ]);
    }

    #[test]
    fn browsers_in_a_hand_have_names() {
        assert_labels(&[
            (
                "Safari on iPhone",
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_7 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Version/17.7 Mobile/15E148 Safari/604.1",
            ),
            (
                "Safari on iPad",
                "Mozilla/5.0 (iPad; CPU OS 12_5_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like \
                 Gecko) Version/12.1.2 Mobile/15E148 Safari/604.1",
            ),
            (
                "Chrome on iPhone",
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_7 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) CriOS/131.0.6778.73 Mobile/15E148 Safari/604.1",
            ),
            (
                "Firefox on iPad",
                "Mozilla/5.0 (iPad; CPU OS 14_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like \
                 Gecko) FxiOS/133.0 Mobile/15E148 Safari/605.1.15",
            ),
            (
                "Chrome on iOS",
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 13_5_0) AppleWebKit/605.1.15 (KHTML, like \
                 Gecko) CriOS/131.0.6778.73 Version/16.5 Safari/605.1.15",
            ),
            (
                "Edge on iPhone",
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_7 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Version/17.0 EdgiOS/130.0.2849.80 Mobile/15E148 Safari/605.1.15",
            ),
            (
                "iPhone",
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_7 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Mobile/15E148",
            ),
            (
                "Chrome on Android",
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/131.0.0.0 Mobile Safari/537.36",
            ),
            (
                "Edge on Android",
                "Mozilla/5.0 (Linux; Android 10; HD1913) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/131.0.6778.81 Mobile Safari/537.36 EdgA/131.0.2903.48",
            ),
            (
                "Samsung Internet on Android",
                "Mozilla/5.0 (Linux; Android 14; SAMSUNG SM-S921B) AppleWebKit/537.36 (KHTML, like \
                 Gecko) SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36",
            ),
            (
                "Firefox on Android",
                "Mozilla/5.0 (Android 14; Mobile; rv:133.0) Gecko/133.0 Firefox/133.0",
            ),
            (
                "App on Android",
                "Mozilla/5.0 (Linux; Android 13; Pixel 7 Build/TQ3A.230901.001; wv) \
                 AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/116.0.0.0 Mobile \
                 Safari/537.36",
            ),
            (
                "Browser on Android",
                "Mozilla/5.0 (Linux; U; Android 4.0.3; de-de; HTC Sensation Build/IML74K) \
                 AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 Mobile Safari/534.30",
            ),
        ]);
    }

    #[test]
    fn applications_go_by_their_own_name() {
        assert_labels(&[
            (
                "Acme/3.2 on iOS",
                "Acme/3.2.1 CFNetwork/1490.0.4 Darwin/23.2.0",
            ),
            (
                "Caffè Nero/118 on iOS",
                "Caff%C3%A8%20Nero/118 CFNetwork/1404.0.5 Darwin/22.3.0",
            ),
            (
                "Acme/3.2 on iPhone",
                "Acme/3.2 (iPhone; iOS 17.0; Scale/3.00)",
            ),
            (
                "Acme/3.2 on iOS",
                "Acme/3.2 (com.acme.app; build:7; iOS 17.2.0) Alamofire/5.8.1",
            ),
            ("Acme/3.2 on Android", "Acme/3.2 (Android 14; Pixel 8)"),
            (
                "Acme/3.2 on macOS",
                "Acme/3.2 (macOS 14.1; build:7) Alamofire/5.8.1",
            ),
            ("okhttp/4.9 on Android", "okhttp/4.9.3"),
            ("Acme/7.0 on Android", "Acme/7.0 okhttp/4.12.0"),
            (
                "Dalvik/2.1 on Android",
                "Dalvik/2.1.0 (Linux; U; Android 13; Pixel 7 Build/TQ3A)",
            ),
            ("Dart/3.0", "Dart/3.0 (dart:io)"),
            ("curl/8.5", "curl/8.5.0"),
            ("python-requests/2.31", "python-requests/2.31.0"),
            ("Acme/3", "Acme/3.beta"),
            ("Acme", "Acme/beta"),
        ]);
    }

    #[test]
    fn a_header_that_says_nothing_gives_no_label() {
        for header in [
            "",
            " ",
            "Mozilla/5.0",
            "Acme",
            "/1.0",
            "<script>/1.0",
            "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl/1.0",
            "%FF/1.0",
            "a%00b/1.0",
            "%E2%80%AE/1.0",
        ] {
            assert_eq!(label(header), None, "{header:?}");
        }
    }

    #[test]
    fn only_the_beginning_of_a_header_is_read() {
        let far = format!("Acme/1.0 {}", "é".repeat(300));
        assert_eq!(
            label(&format!("{far} Android")).as_deref(),
            Some("Acme/1.0")
        );
        assert_eq!(label(&"9".repeat(100_000)), None);
        let long_version = format!("Acme/{}", "9".repeat(100));
        assert_eq!(label(&long_version).as_deref(), Some("Acme"));
    }

    #[test]
    fn a_label_is_one_short_line() {
        for (text, kept) in [
            (" Ada's laptop\n", "Ada's laptop"),
            ("電話 👩‍💻", "電話 👩‍💻"),
            (&"é".repeat(64), &"é".repeat(64)),
        ] {
            assert_eq!(
                DeviceLabel::parse(text).map(|label| label.to_string()),
                Ok(kept.to_owned())
            );
        }
        for bad in [
            "",
            " \t",
            &"é".repeat(65),
            "a\nb",
            "a\0b",
            "a\u{7f}",
            "a\u{2028}b",
            "a\u{202e}b",
        ] {
            assert_eq!(DeviceLabel::parse(bad), Err(InvalidDeviceLabel), "{bad:?}");
        }
    }

    #[test]
    fn a_label_travels_as_a_string() {
        let label = DeviceLabel::parse("Ada's laptop").unwrap();
        let json = serde_json::to_string(&label).unwrap();
        assert_eq!(json, "\"Ada's laptop\"");
        assert_eq!(serde_json::from_str::<DeviceLabel>(&json).unwrap(), label);
        assert!(serde_json::from_str::<DeviceLabel>("\"\"").is_err());
    }
}
