//! The pages that people see in a browser, as HTML.
//!
//! Knows no HTTP: every page is a struct of plain views that renders itself in a [`Frame`]. What
//! people read is in [`texts`], how it looks in `templates/pages.css`; there is no inline style and
//! no inline script, so that the strictest `Content-Security-Policy` holds.
//!
//! | what a page loads | is |
//! |---|---|
//! | `{base}/pages.css?v={style_version}` | [`style_sheet`] |
//! | `{base}/logo?v={style_version}` | [`Brand::icon`] |
//! | `{base}/form-post.js`, [`FormPostPage`] only | [`FORM_POST_SCRIPT`] |
//! | `{base}/account.js`, [`AccountPage`] and [`DevicesPage`] only | [`ACCOUNT_SCRIPT`] |

mod account;
mod app;
mod brand;
mod color;
mod consent;
mod devices;
mod error;
mod field;
mod form_post;
mod language;
mod login;
mod sign_out;
mod sign_up;
#[cfg(test)]
mod tests;
mod texts;

pub use account::{
    ACCOUNT_SCRIPT, AccountPage, ConnectedApp, Notice, PasswordChangeProblem, ProfileField,
    ProfileProblem, ProfileView,
};
pub use app::App;
pub use brand::{Brand, BrandColor, InvalidBrandColor, Logo};
pub use consent::ConsentPage;
pub use devices::{DeviceApp, DeviceView, DevicesPage};
pub use error::{ErrorPage, PageProblem};
pub use form_post::{FORM_POST_SCRIPT, FormPostPage};
pub use language::Language;
pub use login::{LoginPage, LoginProblem};
pub use sign_out::{LogoutPage, SignedOutPage};
pub use sign_up::{
    EmailProblem, NewPasswordProblem, SignUpPage, SignUpProblem, SignUpProblems, UsernameProblem,
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use texts::Texts;

/// What is escaped in a value of a query: all but the unreserved characters (RFC 3986 §2.3).
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What is the same on all pages of one answer.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Whose pages they are.
    pub brand: &'a Brand,
    /// What all links begin with: the path of the issuer, `""` or such as `/auth`.
    pub base: &'a str,
    /// The language of the person.
    pub language: Language,
    /// [`style_version`] of the brand, so that what a browser has cached is never too old.
    pub style_version: &'a str,
}

impl Frame<'_> {
    fn texts(&self) -> &'static Texts {
        self.language.texts()
    }

    /// The title of the window: what the page is for first, since browsers cut off the rest.
    ///
    /// That a form was refused stands before all, because a screen reader begins with the title
    /// of a new page.
    fn title(&self, heading: &str, is_refused: bool) -> String {
        let prefix = if is_refused {
            self.texts().common.error_prefix
        } else {
            ""
        };
        format!("{prefix}{heading} – {}", self.brand.name)
    }
}

/// A page that can be shown.
pub trait Page {
    /// The whole document.
    ///
    /// # Errors
    /// When a template fails, which takes a formatter that fails.
    fn render(&self, frame: &Frame<'_>) -> Result<String, askama::Error>;
}

/// The style sheet of all pages, in the colours of the brand.
#[must_use]
pub fn style_sheet(brand: &Brand) -> String {
    format!("{}\n{}", STYLE, brand.style_sheet())
}

const STYLE: &str = include_str!("../../templates/pages.css");

/// Names what [`style_sheet`] and [`Brand::icon`] are, so that they can be cached for ever: 16
/// hexadecimal digits that change with them.
///
/// FNV-1a is enough, since nobody gains from two versions with one name.
#[must_use]
pub fn style_version(brand: &Brand) -> String {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let style = style_sheet(brand);
    let (content_type, icon) = brand.icon();
    let bytes = [style.as_bytes(), content_type.as_bytes(), &icon].concat();
    let hash = bytes.iter().fold(OFFSET, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(PRIME)
    });
    format!("{hash:016x}")
}
