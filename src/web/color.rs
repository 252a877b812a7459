//! Colours that can be read: contrast after WCAG 2.2, and a brand's colour moved until it has it.

use std::fmt;

/// A colour in sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rgb(pub(super) u8, pub(super) u8, pub(super) u8);

impl fmt::Display for Rgb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

const WHITE: Rgb = Rgb(0xff, 0xff, 0xff);
const BLACK: Rgb = Rgb(0, 0, 0);
/// Dark text on a light button.
const INK: Rgb = Rgb(0x0d, 0x11, 0x1a);

/// WCAG 2.2, 1.4.3: text against what is behind it.
const TEXT_CONTRAST: f64 = 4.5;
/// WCAG 2.2, 1.4.11: parts of the user interface against what is beside them.
const PART_CONTRAST: f64 = 3.0;
/// A light button on a white card: its text says that it is one, but it should be seen as well.
const FAINT_CONTRAST: f64 = 1.25;

/// What text stands on. `templates/pages.css` has the same colours; a test compares them.
#[derive(Debug)]
pub(super) struct Ground {
    /// Behind everything.
    page: Rgb,
    /// Behind forms.
    card: Rgb,
    /// Whether a colour is easier to see when it is lighter.
    is_dark: bool,
    /// How a button has to stand out.
    fill_contrast: f64,
    /// How much of the brand is in a tinted surface.
    tint: f64,
    /// How much of the brand is in the light that falls on the page.
    glow: f64,
}

pub(super) const LIGHT: Ground = Ground {
    page: Rgb(0xf6, 0xf7, 0xf9),
    card: Rgb(0xff, 0xff, 0xff),
    is_dark: false,
    fill_contrast: FAINT_CONTRAST,
    tint: 0.09,
    glow: 0.07,
};

pub(super) const DARK: Ground = Ground {
    page: Rgb(0x0c, 0x0e, 0x13),
    card: Rgb(0x15, 0x18, 0x20),
    is_dark: true,
    fill_contrast: PART_CONTRAST,
    tint: 0.2,
    glow: 0.12,
};

/// What becomes of a brand's colour on a ground.
#[derive(Debug)]
pub(super) struct Accent {
    /// Behind the text of a button.
    pub(super) fill: Rgb,
    /// The text of a button.
    pub(super) on_fill: Rgb,
    /// The button under the pointer.
    fill_hover: Rgb,
    /// Links, focus rings and icons.
    ink: Rgb,
    /// A surface with a breath of the brand.
    tint: Rgb,
    /// The top of the page.
    glow: Rgb,
}

impl Accent {
    pub(super) fn on(ground: &Ground, brand: Rgb) -> Self {
        let is_seen = |color| contrast(color, ground.card) >= ground.fill_contrast;
        let fill = moved(brand, ground.is_dark, is_seen);
        // White as long as little has to change for it: that is how people know their brand. A
        // yellow that is darkened for white is brown.
        let is_for_white = contrast(fill, WHITE) >= PART_CONTRAST;
        let on_fill = if is_for_white { WHITE } else { INK };
        let fill = moved(fill, !is_for_white, |color| {
            contrast(color, on_fill) >= TEXT_CONTRAST
        });
        let tint = mix(ground.card, fill, ground.tint);
        let glow = mix(ground.page, fill, ground.glow);
        let ink = moved(brand, ground.is_dark, |color| {
            [ground.page, ground.card, tint, glow]
                .iter()
                .all(|ground| contrast(color, *ground) >= TEXT_CONTRAST)
        });
        let away_from_text = if is_for_white { BLACK } else { WHITE };
        Self {
            fill,
            on_fill,
            fill_hover: mix(fill, away_from_text, 0.12),
            ink,
            tint,
            glow,
        }
    }
}

impl fmt::Display for Accent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            fill,
            on_fill,
            fill_hover,
            ink,
            tint,
            glow,
        } = self;
        write!(
            f,
            "--fill: {fill}; --on-fill: {on_fill}; --fill-hover: {fill_hover}; --accent: {ink}; \
             --tint: {tint}; --glow: {glow};"
        )
    }
}

/// The colour itself, or the first on the way to white or black that is good enough; white or
/// black, if none is.
fn moved(from: Rgb, is_lighter: bool, is_enough: impl Fn(Rgb) -> bool) -> Rgb {
    if is_enough(from) {
        return from;
    }
    let hue = Hue::of(from);
    let end = if is_lighter { 1.0 } else { 0.0 };
    let mut steps = (1..128).map(|step| {
        let share = f64::from(step) / 128.0;
        hue.at(hue.lightness + (end - hue.lightness) * share)
    });
    let pole = if is_lighter { WHITE } else { BLACK };
    steps.find(|color| is_enough(*color)).unwrap_or(pole)
}

/// A colour in the terms of CSS `hsl()`, so that a dark blue becomes a lighter blue and not the grey
/// that is between it and white.
struct Hue {
    /// From 0 to 6, once around.
    angle: f64,
    saturation: f64,
    lightness: f64,
}

impl Hue {
    fn of(Rgb(red, green, blue): Rgb) -> Self {
        let [red, green, blue] = [red, green, blue].map(|channel| f64::from(channel) / 255.0);
        let most = red.max(green).max(blue);
        let least = red.min(green).min(blue);
        let (chroma, lightness) = (most - least, f64::midpoint(most, least));
        if chroma == 0.0 {
            return Self {
                angle: 0.0,
                saturation: 0.0,
                lightness,
            };
        }
        let angle = if red >= most {
            (green - blue) / chroma
        } else if green >= most {
            (blue - red) / chroma + 2.0
        } else {
            (red - green) / chroma + 4.0
        };
        let saturation = chroma / (1.0 - (2.0 * lightness - 1.0).abs());
        Self {
            angle,
            // Next to black and white the smallest difference counts as saturated, which is not
            // what anybody sees.
            saturation: saturation * (4.0 * chroma).min(1.0),
            lightness,
        }
    }

    /// The same hue, lighter or darker.
    fn at(&self, lightness: f64) -> Rgb {
        let reach = self.saturation * lightness.min(1.0 - lightness);
        let channel = |offset: f64| {
            let place = (offset + 2.0 * self.angle).rem_euclid(12.0);
            let swing = (place - 3.0).min(9.0 - place).clamp(-1.0, 1.0);
            byte((lightness - reach * swing) * 255.0)
        };
        Rgb(channel(0.0), channel(8.0), channel(4.0))
    }
}

/// So much of the second colour in the first.
fn mix(from: Rgb, to: Rgb, share: f64) -> Rgb {
    let channel =
        |from: u8, to: u8| byte(f64::from(from) + (f64::from(to) - f64::from(from)) * share);
    Rgb(
        channel(from.0, to.0),
        channel(from.1, to.1),
        channel(from.2, to.2),
    )
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is from 0 to 255"
)]
fn byte(channel: f64) -> u8 {
    channel.round().clamp(0.0, 255.0) as u8
}

/// The contrast ratio of WCAG 2.2, from 1 to 21.
fn contrast(one: Rgb, other: Rgb) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// The relative luminance of WCAG 2.2, from 0 to 1.
fn luminance(color: Rgb) -> f64 {
    let linear = |channel: u8| {
        let channel = f64::from(channel) / 255.0;
        if channel <= 0.04045 {
            channel / 12.92
        } else {
            ((channel + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * linear(color.0) + 0.7152 * linear(color.1) + 0.0722 * linear(color.2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::STYLE;

    fn rgb(text: &str) -> Rgb {
        let channel = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        Rgb(channel(1), channel(3), channel(5))
    }

    /// The colours among the custom properties of the light or the dark half of the style sheet.
    fn palette(is_dark: bool) -> impl Fn(&str) -> Rgb {
        let mut halves = STYLE.split("@media (prefers-color-scheme: dark)");
        let half = halves.nth(usize::from(is_dark)).unwrap();
        move |name: &str| {
            let start = format!("  --{name}: ");
            let line = half
                .lines()
                .find_map(|line| line.find(&start).map(|at| &line[at + start.len()..]));
            rgb(line.unwrap_or_else(|| panic!("--{name}")))
        }
    }

    /// Every colour that a company may have, in steps.
    fn brands() -> impl Iterator<Item = Rgb> {
        let steps = || (0..=255).step_by(15);
        steps().flat_map(move |red| {
            steps().flat_map(move |green| steps().map(move |blue| Rgb(red, green, blue)))
        })
    }

    #[test]
    fn contrast_is_what_wcag_says() {
        assert!((contrast(BLACK, WHITE) - 21.0).abs() < 1e-9);
        assert!((contrast(WHITE, WHITE) - 1.0).abs() < 1e-9);
        // The grey on white that is just enough, and the one that is just not.
        assert!(contrast(rgb("#767676"), WHITE) >= 4.5);
        assert!(contrast(rgb("#777777"), WHITE) < 4.5);
        assert!((luminance(rgb("#ff0000")) - 0.2126).abs() < 1e-9);
    }

    #[test]
    fn the_grounds_are_those_of_the_style_sheet() {
        for ground in [LIGHT, DARK] {
            let color = palette(ground.is_dark);
            assert_eq!(ground.page, color("page"));
            assert_eq!(ground.card, color("card"));
        }
    }

    #[test]
    fn every_pair_in_the_style_sheet_can_be_read() {
        let pairs = [
            (
                "text",
                &["page", "card", "field", "danger-tint", "good-tint"][..],
            ),
            ("soft", &["page", "card"]),
            ("danger", &["card", "danger-tint"]),
            ("good", &["good-tint"]),
        ];
        for is_dark in [false, true] {
            let color = palette(is_dark);
            for (text, grounds) in pairs {
                for ground in grounds {
                    let ratio = contrast(color(text), color(ground));
                    assert!(ratio >= TEXT_CONTRAST, "{text} on {ground}: {ratio:.2}");
                }
            }
            // The border of a field or a button.
            for ground in ["card", "field", "page"] {
                let ratio = contrast(color("edge"), color(ground));
                assert!(ratio >= PART_CONTRAST, "edge on {ground}: {ratio:.2}");
            }
        }
    }

    #[test]
    fn every_brand_can_be_read() {
        for ground in [LIGHT, DARK] {
            let color = palette(ground.is_dark);
            for brand in brands() {
                let accent = Accent::on(&ground, brand);
                for (what, one, other, least) in [
                    ("button", accent.on_fill, accent.fill, TEXT_CONTRAST),
                    (
                        "button, hover",
                        accent.on_fill,
                        accent.fill_hover,
                        TEXT_CONTRAST,
                    ),
                    ("button on card", accent.fill, ground.card, FAINT_CONTRAST),
                    ("link on page", accent.ink, ground.page, TEXT_CONTRAST),
                    ("link on card", accent.ink, ground.card, TEXT_CONTRAST),
                    ("initial on tint", accent.ink, accent.tint, TEXT_CONTRAST),
                    ("link on glow", accent.ink, accent.glow, TEXT_CONTRAST),
                    ("name on glow", color("text"), accent.glow, TEXT_CONTRAST),
                    ("aside on glow", color("soft"), accent.glow, TEXT_CONTRAST),
                    ("filled in", color("text"), accent.tint, TEXT_CONTRAST),
                ] {
                    let ratio = contrast(one, other);
                    assert!(ratio >= least, "{what} for {brand}: {ratio:.2} {accent}");
                }
            }
        }
    }

    #[test]
    fn a_brand_stays_what_it_is_where_it_can() {
        let accent = |brand: &str| Accent::on(&LIGHT, rgb(brand));
        for brand in ["#3d4ed8", "#0a1a3a", "#b00020", "#ffcc00"] {
            assert_eq!(accent(brand).fill, rgb(brand));
        }
        assert_eq!(accent("#3d4ed8").on_fill, WHITE);
        assert_eq!(accent("#ffcc00").on_fill, INK);
    }

    #[test]
    fn a_colour_keeps_its_hue() {
        for color in brands() {
            let hue = Hue::of(color);
            let full = Hue {
                saturation: 1.0,
                ..hue
            };
            if hue.saturation > 0.0 {
                let lighter = Hue::of(full.at(0.6));
                let apart = (lighter.angle - hue.angle).rem_euclid(6.0);
                assert!(apart.min(6.0 - apart) < 0.05, "{color}");
            }
        }
        // A navy blue in the dark is a blue, and black is a grey.
        let navy = Accent::on(&DARK, rgb("#0a1a3a")).ink;
        assert!(navy.2 > navy.0 + 0x40, "{navy}");
        let black = Accent::on(&DARK, rgb("#000001")).ink;
        assert!(black.2 - black.0 < 8, "{black}");
    }
}
