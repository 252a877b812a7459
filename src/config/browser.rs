//! Settings about browsers: how long people stay signed in, and what the pages look like.

use std::path::Path;
use std::time::Duration;

use super::layers::{ConfigError, Layers, Setting};
use super::{delta, duration};
use crate::domain::browser_login::LoginPolicy;
use crate::web::{Brand, BrandColor, Logo};

/// Settings about browsers. Units and defaults are those of [`super::settings`].
#[derive(Clone, Debug)]
pub struct BrowserSettings {
    /// How long people stay signed in.
    pub logins: LoginPolicy,
    /// Whose pages they are.
    pub brand: Brand,
}

/// Part of [`super::settings`].
pub(super) const SETTINGS: &[Setting] = &[
    Setting::new("logins.idle_ttl", "3d", "a duration from 1m to 1y"),
    Setting::new("logins.ttl", "7d", "a duration from logins.idle_ttl to 1y"),
    Setting::new(
        "brand.name",
        "Tokensmith",
        "1 to 60 characters without control characters",
    ),
    Setting::optional("brand.logo", "an SVG or PNG file of at most 256 KiB"),
    Setting::optional("brand.color", "a colour such as #0b5cad"),
];

const YEAR: Duration = Duration::from_hours(365 * 24);

/// Larger ones make every first visit slow.
const MOST_LOGO_BYTES: usize = 256 * 1024;

pub(super) fn read(layers: &Layers) -> Result<BrowserSettings, ConfigError> {
    let idle = layers.parse("logins.idle_ttl", |text| {
        duration(text, Duration::from_mins(1)..=YEAR)
    })?;
    let lifetime = layers.parse("logins.ttl", |text| duration(text, idle..=YEAR))?;
    Ok(BrowserSettings {
        logins: LoginPolicy {
            idle_lifetime: delta(idle),
            lifetime: delta(lifetime),
        },
        brand: Brand {
            name: layers.parse("brand.name", name)?,
            logo: layers.parse_optional("brand.logo", |path| logo(Path::new(path)))?,
            color: layers
                .parse_optional("brand.color", |text| {
                    text.parse::<BrandColor>()
                        .map_err(|error| error.to_string())
                })?
                .unwrap_or_default(),
        },
    })
}

fn name(text: &str) -> Result<String, String> {
    let length = text.chars().count();
    if (1..=60).contains(&length) && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(String::new())
    }
}

fn logo(path: &Path) -> Result<Logo, String> {
    let extension = path.extension().and_then(std::ffi::OsStr::to_str);
    let content_type = match extension {
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => return Err("the name ends neither with .svg nor with .png".to_owned()),
    };
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    if bytes.len() > MOST_LOGO_BYTES {
        return Err("the file is larger than 256 KiB".to_owned());
    }
    Ok(Logo {
        content_type,
        bytes,
    })
}
