//! What pages look like: pictures for people, and what can be computed of what WCAG 2.2 asks for.

use std::fs;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Scheme, TestBrowser, Viewport, text};

/// What is wrong with the page as it is shown now; a line each.
const AUDIT: &str = include_str!("audit.js");

/// How each page is looked at.
const LOOKS: [(Viewport, Scheme); 5] = [
    (Viewport::Desktop, Scheme::Light),
    (Viewport::Desktop, Scheme::Dark),
    (Viewport::Phone, Scheme::Light),
    (Viewport::Phone, Scheme::Dark),
    (Viewport::Narrow, Scheme::Light),
];

impl TestBrowser {
    /// Pictures of the whole page on a desk and on a phone, light and dark:
    /// `target/screenshots/NAME-desktop-light.png` and so on.
    ///
    /// # Panics
    /// When somebody could not read or use the page on one of them, or on a narrower one.
    pub(crate) async fn look(&mut self, name: &str) {
        let before = (self.viewport, self.scheme);
        for (viewport, scheme) in LOOKS {
            (self.viewport, self.scheme) = (viewport, scheme);
            self.emulate().await;
            self.audit(name).await;
            if let Some(viewport) = viewport.name() {
                let picture = format!("{name}-{viewport}-{}", scheme.name());
                self.picture(&picture).await;
            }
        }
        (self.viewport, self.scheme) = before;
        self.emulate().await;
    }

    async fn audit(&self, name: &str) {
        let found = self.execute(AUDIT).await;
        let found = found.as_array().unwrap();
        let (viewport, scheme) = (self.viewport, self.scheme);
        assert!(
            found.is_empty(),
            "{name}, {viewport:?}, {scheme:?}: {found:#?}"
        );
    }

    async fn picture(&self, name: &str) {
        let metrics = self.devtools("Page.getLayoutMetrics", json!({})).await;
        let size = &metrics["cssContentSize"];
        let clip = json!({
            "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1,
        });
        let options = json!({ "captureBeyondViewport": true, "clip": clip });
        let picture = self.devtools("Page.captureScreenshot", options).await;
        let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
        fs::create_dir_all(&directory).unwrap();
        let file = directory.join(format!("{name}.png"));
        fs::write(file, STANDARD.decode(text(&picture["data"])).unwrap()).unwrap();
    }
}

impl Viewport {
    /// What its pictures are called; `None` where none are made.
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Phone => Some("phone"),
            Self::Desktop => Some("desktop"),
            Self::Narrow => None,
        }
    }
}
