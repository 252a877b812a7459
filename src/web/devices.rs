//! The page with the devices on which a person is signed in.

use std::borrow::Cow;

use askama::Template;

use super::account::Notice;
use super::texts::Texts;
use super::{Frame, Page};
use crate::domain::Timestamp;

/// The page with the devices on which a person is signed in.
///
/// Posts `csrf` and `end` to `{base}/account/devices`: the id of a device, the `sid` of an
/// application on it, or `others` for all devices but this one.
#[derive(Debug)]
pub struct DevicesPage<'a> {
    /// What proves that a form comes from this page.
    pub csrf: &'a str,
    /// In the order in which they are shown; the current one first is a good one.
    pub devices: Vec<DeviceView<'a>>,
    /// What has just been done.
    pub notice: Option<Notice>,
    /// The instant of the request.
    pub now: Timestamp,
}

/// A device, which is a browser or an application.
#[derive(Clone, Debug)]
pub struct DeviceView<'a> {
    /// Names it. Unique among all devices and applications of the page; that of an application without
    /// a browser is its session's.
    pub id: String,
    /// What it is called, such as `Chrome on Windows`.
    pub label: Option<&'a str>,
    /// Its network address.
    pub address: Option<String>,
    /// When the person signed in there.
    pub created_at: Timestamp,
    /// When it was used last.
    pub last_seen_at: Timestamp,
    /// Whether it shows this page.
    pub is_current: bool,
    /// The applications that the person is signed in to there.
    pub apps: Vec<DeviceApp<'a>>,
}

/// An application that a person is signed in to on a device.
#[derive(Clone, Debug)]
pub struct DeviceApp<'a> {
    /// Names its session.
    pub sid: String,
    /// What it calls itself.
    pub name: &'a str,
    /// When it was used last.
    pub last_seen_at: Timestamp,
    /// Whether it may act while the person is away.
    pub works_offline: bool,
}

#[derive(Template)]
#[template(path = "pages/devices.html", whitespace = "minimize")]
struct View<'a> {
    frame: &'a Frame<'a>,
    t: &'static Texts,
    title: String,
    is_devices: bool,
    csrf: &'a str,
    notice: Option<&'static str>,
    devices: Vec<Device<'a>>,
    has_others: bool,
}

struct Device<'a> {
    view: &'a DeviceView<'a>,
    label: Cow<'a, str>,
    kind: Kind,
    activity: String,
    since: String,
    apps: Vec<AppOnDevice<'a>>,
}

struct AppOnDevice<'a> {
    view: &'a DeviceApp<'a>,
    activity: String,
}

/// What a device looks like, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Phone,
    Computer,
    Unknown,
}

impl Page for DevicesPage<'_> {
    fn render(&self, frame: &Frame<'_>) -> Result<String, askama::Error> {
        let t = frame.texts();
        let view = View {
            frame,
            t,
            title: frame.title(t.devices.heading, false),
            is_devices: true,
            csrf: self.csrf,
            notice: self.notice.map(t.account.notice),
            devices: self
                .devices
                .iter()
                .map(|device| device.shown(t, self.now))
                .collect(),
            has_others: self.devices.iter().any(|device| !device.is_current),
        };
        view.render()
    }
}

impl DeviceView<'_> {
    fn shown(&self, t: &'static Texts, now: Timestamp) -> Device<'_> {
        let apps = self.apps.iter().map(|app| AppOnDevice {
            view: app,
            activity: t.time.activity(app.last_seen_at, now),
        });
        Device {
            view: self,
            label: self
                .label
                .map_or(Cow::Borrowed(t.devices.unknown), |label| {
                    translated(label, t)
                }),
            kind: self.label.map_or(Kind::Unknown, kind),
            activity: t.time.activity(self.last_seen_at, now),
            since: t.time.date(self.created_at),
            apps: apps.collect(),
        }
    }
}

/// What the name of a device ends with when `domain::device` has made it.
const PLATFORMS: &[(&str, Kind)] = &[
    ("iPhone", Kind::Phone),
    ("iPad", Kind::Phone),
    ("iPod", Kind::Phone),
    ("iOS", Kind::Phone),
    ("Android", Kind::Phone),
    ("Windows", Kind::Computer),
    ("macOS", Kind::Computer),
    ("Linux", Kind::Computer),
    ("ChromeOS", Kind::Computer),
    ("FreeBSD", Kind::Computer),
    ("OpenBSD", Kind::Computer),
];

fn kind(label: &str) -> Kind {
    let platform = label.rsplit(' ').next().unwrap_or_default();
    let known = PLATFORMS.iter().find(|(name, _)| *name == platform);
    known.map_or(Kind::Unknown, |(_, kind)| *kind)
}

/// `Chrome on Windows` in the language of the page. Names that an application or a person gave stay
/// as they are.
fn translated<'a>(label: &'a str, t: &'static Texts) -> Cow<'a, str> {
    let Some((program, platform)) = label.rsplit_once(" on ") else {
        return Cow::Borrowed(label);
    };
    let on = match kind(platform) {
        Kind::Phone => t.devices.on_phone,
        Kind::Computer => t.devices.on_computer,
        Kind::Unknown => return Cow::Borrowed(label),
    };
    Cow::Owned(format!("{program}{on}{platform}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::Language;

    #[test]
    fn names_of_devices_are_translated() {
        for (label, german) in [
            ("Chrome on Windows", "Chrome unter Windows"),
            ("Safari on iPhone", "Safari auf iPhone"),
            ("iPhone", "iPhone"),
            ("Ada on tour", "Ada on tour"),
            ("", ""),
        ] {
            assert_eq!(translated(label, Language::De.texts()), german);
            assert_eq!(translated(label, Language::En.texts()), label);
        }
    }

    #[test]
    fn a_name_tells_what_a_device_looks_like() {
        assert_eq!(kind("Safari on iPhone"), Kind::Phone);
        assert_eq!(kind("Windows"), Kind::Computer);
        assert_eq!(kind("Ada's laptop"), Kind::Unknown);
    }
}
