//! Whose pages they are: name, logo and colour.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::color::{self, Rgb};

/// What a company makes the pages its own with.
#[derive(Clone, Debug)]
pub struct Brand {
    /// The name of the service, beside the logo and in sentences such as "Sign in to …".
    pub name: String,
    /// The colour of buttons, links and focus rings, made lighter or darker where it would be hard
    /// to read.
    pub color: BrandColor,
    /// A square symbol; the name stands beside it. Without one, the initial of the name.
    pub logo: Option<Logo>,
}

impl Default for Brand {
    fn default() -> Self {
        Self {
            name: "Tokensmith".to_owned(),
            color: BrandColor::default(),
            logo: None,
        }
    }
}

/// An image that browsers show.
#[derive(Clone)]
pub struct Logo {
    /// Such as `image/svg+xml`.
    pub content_type: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Logo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Logo({}, {} bytes)", self.content_type, self.bytes.len())
    }
}

/// The colour of a company, as it is: `#rrggbb`. Where it is used it may be lighter or darker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrandColor(Rgb);

impl Default for BrandColor {
    /// A blue with some violet in it.
    fn default() -> Self {
        Self(Rgb(0x3d, 0x4e, 0xd8))
    }
}

/// A text that is no colour.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("a colour is # and six hexadecimal digits, such as #3d4ed8")]
pub struct InvalidBrandColor;

impl FromStr for BrandColor {
    type Err = InvalidBrandColor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix('#').ok_or(InvalidBrandColor)?;
        // `from_str_radix` would take a sign.
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidBrandColor);
        }
        let number = u32::from_str_radix(digits, 16).map_err(|_| InvalidBrandColor)?;
        let [_, red, green, blue] = number.to_be_bytes();
        Ok(Self(Rgb(red, green, blue)))
    }
}

impl fmt::Display for BrandColor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Brand {
    /// Custom properties with the colours that follow from the brand's, for light and dark.
    #[must_use]
    pub fn style_sheet(&self) -> String {
        let light = color::Accent::on(&color::LIGHT, self.color.0);
        let dark = color::Accent::on(&color::DARK, self.color.0);
        format!(
            ":root {{ {light} }}\n\
             @media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
        )
    }

    /// The logo, or a tile with the initial of the name, as content type and file.
    #[must_use]
    pub fn icon(&self) -> (&'static str, Cow<'_, [u8]>) {
        match &self.logo {
            Some(logo) => (logo.content_type, Cow::Borrowed(&logo.bytes)),
            None => ("image/svg+xml", Cow::Owned(self.tile().into_bytes())),
        }
    }

    /// Stands for a brand without a logo.
    pub(super) fn initial(&self) -> String {
        initial(&self.name)
    }

    fn tile(&self) -> String {
        let accent = color::Accent::on(&color::LIGHT, self.color.0);
        let (fill, ink) = (accent.fill, accent.on_fill);
        let initial = askama::filters::escape(self.initial(), askama::filters::Html)
            .map(|escaped| escaped.to_string())
            .unwrap_or_default();
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 32 32\">\
             <rect width=\"32\" height=\"32\" rx=\"8\" fill=\"{fill}\"/>\
             <text x=\"16\" y=\"22.5\" fill=\"{ink}\" text-anchor=\"middle\" font-size=\"18\" \
             font-weight=\"600\" font-family=\"system-ui, sans-serif\">{initial}</text></svg>"
        )
    }
}

/// The first letter or digit of a name in upper case, to stand for it.
pub(super) fn initial(name: &str) -> String {
    let first = name.chars().find(|c| c.is_alphanumeric());
    // Upper case may be several characters; `ß` becomes `SS`, of which one is enough.
    let upper = first.and_then(|c| c.to_uppercase().next());
    upper.map_or_else(|| "•".to_owned(), String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_is_six_hexadecimal_digits() {
        for good in ["#3d4ed8", "#FFFFFF", "#000000"] {
            let color: BrandColor = good.parse().unwrap();
            assert_eq!(color.to_string(), good.to_lowercase());
        }
        for bad in [
            "", "#", "#fff", "3d4ed8", "#3d4ed", "#3d4ed8f", "#+d4ed8", "#éé1", "red",
        ] {
            assert_eq!(bad.parse::<BrandColor>(), Err(InvalidBrandColor), "{bad}");
        }
    }

    #[test]
    fn a_name_has_an_initial() {
        for (name, expected) in [
            ("Tokensmith", "T"),
            (" acme", "A"),
            ("\"42\"", "4"),
            ("ärzte", "Ä"),
            ("ßx", "S"),
            ("", "•"),
            ("<>", "•"),
        ] {
            assert_eq!(initial(name), expected);
        }
    }

    #[test]
    fn a_brand_without_a_logo_has_a_tile() {
        let brand = Brand::default();
        let (content_type, tile) = brand.icon();
        let tile = String::from_utf8(tile.into_owned()).unwrap();
        assert_eq!(content_type, "image/svg+xml");
        assert!(
            tile.starts_with("<svg") && tile.contains(">T</text>"),
            "{tile}"
        );

        let logo = Logo {
            content_type: "image/png",
            bytes: vec![1, 2, 3],
        };
        let brand = Brand {
            logo: Some(logo),
            ..brand
        };
        assert_eq!(brand.icon(), ("image/png", Cow::Borrowed(&[1, 2, 3][..])));
        assert_eq!(
            format!("{:?}", brand.logo),
            "Some(Logo(image/png, 3 bytes))"
        );
    }
}
