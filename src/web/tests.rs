//! What holds for all pages, in all languages, whatever is on them.

mod html;
mod samples;

use std::collections::BTreeSet;

use super::*;
use html::{Tag, tags, texts};
use samples::{Sample, login, pages, refused_pages, sign_up};

const HARMLESS: &str = "Ada@Sample";
const HOSTILE: &str =
    "\"'><script>alert(1)</script><img src=x onerror=alert(1)>@</textarea></title>{{7*7}}<!--";

fn rendered(page: &dyn Page, language: Language) -> String {
    let frame = Frame {
        brand: &Brand::default(),
        base: "/auth",
        language,
        style_version: "1",
    };
    page.render(&frame).unwrap()
}

/// Every page in every language.
fn all() -> Vec<(&'static str, Language, String)> {
    let mut all = Vec::new();
    for Sample { name, page } in pages(HARMLESS) {
        for language in Language::ALL {
            all.push((name, language, rendered(&*page, language)));
        }
    }
    all
}

#[test]
fn every_page_is_a_whole_document_in_every_language() {
    for (name, language, page) in all() {
        assert!(page.starts_with("<!doctype html>"), "{name}");
        assert!(page.trim_end().ends_with("</html>"), "{name}");
        let tags = tags(&page);
        let count = |element: &str| tags.iter().filter(|tag| tag.name == element).count();
        let lang = tags.iter().find(|tag| tag.name == "html").unwrap();
        assert_eq!(lang.get("lang"), Some(language.tag()));
        assert_eq!(
            (count("h1"), count("main"), count("title")),
            (1, 1, 1),
            "{name}"
        );
    }
}

#[test]
fn the_elements_that_others_rely_on_have_their_ids() {
    let expected = [
        ("login", "username password submit cancel sign-up"),
        (
            "login of somebody known",
            "continue username password submit",
        ),
        ("sign-up", "username email password submit log-in"),
        ("consent", "allow deny switch"),
        (
            "account",
            "name phone address save-profile current-password new-password change-password logout \
             revoke-orders revoke-Ada@Sample",
        ),
        ("devices", "end-d1 end-d2 end-s1 end-s2 end-others logout"),
        ("logout", "logout stay"),
        ("signed out", "signed-out log-in"),
        ("error", "error"),
        ("form post", "submit"),
    ];
    let all = all();
    for (name, ids) in expected {
        let mut found = 0;
        for (_, _, page) in all.iter().filter(|(page, ..)| *page == name) {
            let there: BTreeSet<&str> = tags(page).iter().filter_map(|tag| tag.get("id")).collect();
            for id in ids.split_whitespace() {
                assert!(there.contains(id), "{name} has no #{id}: {there:?}");
            }
            found += 1;
        }
        assert_eq!(found, Language::ALL.len(), "{name}");
    }
}

#[test]
fn ids_are_unique_and_references_lead_somewhere() {
    for (name, _, page) in all() {
        let tags = tags(&page);
        let mut ids = BTreeSet::new();
        for id in tags.iter().filter_map(|tag| tag.get("id")) {
            assert!(ids.insert(id), "{name} has #{id} twice");
        }
        for tag in &tags {
            let fragment = tag.get("href").and_then(|href| href.strip_prefix('#'));
            let references = ["for", "aria-describedby", "aria-labelledby"]
                .into_iter()
                .filter_map(|attribute| tag.get(attribute))
                .chain(fragment);
            for id in references.flat_map(str::split_whitespace) {
                assert!(ids.contains(id), "{name}: {tag:?} refers to #{id}");
            }
        }
    }
}

#[test]
fn every_field_has_a_label_and_says_what_browsers_may_fill_in() {
    for (name, _, page) in all() {
        let tags = tags(&page);
        let labelled: BTreeSet<&str> = tags.iter().filter_map(|tag| tag.get("for")).collect();
        let is_field = |tag: &&Tag<'_>| {
            ["input", "textarea", "select"].contains(&tag.name) && tag.get("type") != Some("hidden")
        };
        for field in tags.iter().filter(is_field) {
            let has_label = field.get("id").is_some_and(|id| labelled.contains(id));
            assert!(
                has_label || field.get("aria-label").is_some(),
                "{name}: {field:?}"
            );
            assert!(field.get("autocomplete").is_some(), "{name}: {field:?}");
        }
    }
}

#[test]
fn browsers_know_where_the_passwords_belong() {
    for (name, expected) in [
        ("login", vec!["username", "current-password"]),
        ("sign-up", vec!["username", "email", "new-password"]),
        (
            "account",
            vec![
                "name",
                "tel",
                "street-address",
                "username",
                "current-password",
                "new-password",
            ],
        ),
    ] {
        let (.., page) = all().into_iter().find(|(page, ..)| *page == name).unwrap();
        let tags = tags(&page);
        let found: Vec<_> = tags
            .iter()
            .filter_map(|tag| tag.get("autocomplete"))
            .collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn pages_need_no_script_and_no_style_of_their_own() {
    for (name, _, page) in all() {
        for tag in tags(&page) {
            assert_ne!(tag.name, "style", "{name}");
            for (attribute, value) in &tag.attributes {
                assert_ne!(*attribute, "style", "{name}");
                assert!(!attribute.starts_with("on"), "{name}: {attribute}");
                assert!(!value.starts_with("javascript:"), "{name}: {value}");
            }
            if tag.name == "script" {
                let expected = match name {
                    "form post" => "/auth/form-post.js",
                    _ => "/auth/account.js",
                };
                assert_eq!(tag.get("src"), Some(expected), "{name}");
            }
        }
    }
    let style = style_sheet(&Brand::default());
    assert!(!style.contains("url(") && !style.contains("@import"));
}

#[test]
fn whatever_is_on_a_page_it_stays_text() {
    let shape = |page: &str| -> Vec<String> {
        let names = |tag: &Tag<'_>| {
            let attributes = tag.attributes.iter().map(|(name, _)| *name);
            format!("{} {}", tag.name, attributes.collect::<Vec<_>>().join(" "))
        };
        tags(page).iter().map(names).collect()
    };
    let mut harmless = pages(HARMLESS);
    let mut hostile = pages(HOSTILE);
    harmless.extend(refused_pages(HARMLESS));
    hostile.extend(refused_pages(HOSTILE));
    for (harmless, hostile) in harmless.iter().zip(&hostile) {
        for language in Language::ALL {
            let page = rendered(&*hostile.page, language);
            // The one page that shows nothing that others have written.
            let is_shown = hostile.name != "signed out";
            assert_eq!(page.contains("alert(1)"), is_shown, "{}", hostile.name);
            assert_eq!(
                shape(&page),
                shape(&rendered(&*harmless.page, language)),
                "{}",
                hostile.name
            );
        }
    }
}

#[test]
fn a_brand_is_text_as_well() {
    let brand = Brand {
        name: HOSTILE.to_owned(),
        ..Brand::default()
    };
    let frame = Frame {
        brand: &brand,
        base: "",
        language: Language::En,
        style_version: "\"><script>",
    };
    let page = login(HARMLESS).render(&frame).unwrap();
    assert!(tags(&page).iter().all(|tag| tag.name != "script"));
    assert!(!style_sheet(&brand).contains("script"));
}

#[test]
fn no_text_is_the_same_in_both_languages() {
    // Names, numbers and examples; and words that German has taken over.
    let same = ["Apps", "•", "A", "T", "O", "·"];
    let is_sample = |text: &str| text.contains("Sample") || text.contains("Ada");
    let all_texts = |language: Language| -> BTreeSet<String> {
        let samples = pages(HARMLESS).into_iter().chain(refused_pages(HARMLESS));
        samples
            .flat_map(|sample| texts(&rendered(&*sample.page, language)))
            .collect()
    };
    let (en, de) = (all_texts(Language::En), all_texts(Language::De));
    assert!(en.len() > 100, "{}", en.len());
    let both: Vec<&String> = en
        .intersection(&de)
        .filter(|text| !same.contains(&text.as_str()) && !is_sample(text))
        .filter(|text| *text != "Tokensmith" && text.chars().any(char::is_alphabetic))
        .filter(|text| !samples::DATA.contains(&text.as_str()))
        .collect();
    assert!(both.is_empty(), "{both:?}");
}

#[test]
fn a_refused_form_says_so_in_its_title_and_its_message() {
    for Sample { name, page } in refused_pages(HARMLESS) {
        for (language, prefix) in [(Language::En, "Error: "), (Language::De, "Fehler: ")] {
            let page = rendered(&*page, language);
            assert!(page.contains(&format!("<title>{prefix}")), "{name}: {page}");
            let tags = tags(&page);
            let message = tags.iter().find(|tag| tag.get("id") == Some("error"));
            let role = message.and_then(|tag| tag.get("role"));
            assert_eq!(role, Some("alert"), "{name}");
        }
    }
    for (name, language, page) in all() {
        let is_error = page.contains("<title>Error: ") || page.contains("<title>Fehler: ");
        assert_eq!(is_error, name == "error", "{name} {language:?}");
    }
}

#[test]
fn the_cursor_is_where_a_person_goes_on() {
    let focus = |page: &dyn Page| -> Vec<String> {
        let page = rendered(page, Language::En);
        tags(&page)
            .iter()
            .filter(|tag| tag.get("autofocus").is_some())
            .filter_map(|tag| tag.get("id").map(str::to_owned))
            .collect()
    };
    let empty = LoginPage {
        username: "",
        ..login("")
    };
    assert_eq!(focus(&empty), ["username"]);
    assert_eq!(focus(&login("ada")), ["password"]);
    let wrong = LoginPage {
        problem: Some(LoginProblem::WrongCredentials),
        ..login("ada")
    };
    assert_eq!(focus(&wrong), ["password"]);
    let known = LoginPage {
        continue_as: Some("ada"),
        ..login("")
    };
    assert!(focus(&known).is_empty());
    let malformed = SignUpPage {
        problems: SignUpProblems {
            email: Some(EmailProblem::Malformed),
            ..SignUpProblems::default()
        },
        ..sign_up("ada")
    };
    assert_eq!(focus(&malformed), ["email"]);
}

#[test]
fn what_is_wrong_is_tied_to_its_field() {
    let page = SignUpPage {
        problems: SignUpProblems {
            email: Some(EmailProblem::Malformed),
            ..SignUpProblems::default()
        },
        ..sign_up("ada@")
    };
    let page = rendered(&page, Language::En);
    let tags = tags(&page);
    let field = |id: &str| tags.iter().find(|tag| tag.get("id") == Some(id)).unwrap();
    assert_eq!(field("email").get("aria-invalid"), Some("true"));
    assert_eq!(field("email").get("aria-describedby"), Some("email-error"));
    // Nothing that was typed is lost.
    assert_eq!(field("email").get("value"), Some("ada@"));
    assert_eq!(field("username").get("value"), Some("ada@"));
    assert_eq!(field("username").get("aria-invalid"), None);
    assert_eq!(
        field("password").get("aria-describedby"),
        Some("password-hint")
    );

    let wrong = LoginPage {
        problem: Some(LoginProblem::WrongCredentials),
        ..login("ada")
    };
    let page = rendered(&wrong, Language::En);
    let tags = html::tags(&page);
    for id in ["username", "password"] {
        let field = tags.iter().find(|tag| tag.get("id") == Some(id)).unwrap();
        assert_eq!(field.get("aria-describedby"), Some("error"), "{id}");
    }
}

#[test]
fn a_page_within_the_path_of_the_issuer_stays_there() {
    for (name, _, page) in all() {
        for tag in tags(&page) {
            for attribute in ["href", "src", "action"] {
                let Some(address) = tag.get(attribute) else {
                    continue;
                };
                let is_elsewhere = !address.starts_with('/') && !address.starts_with('#');
                assert!(
                    is_elsewhere || address.starts_with(['#']) || address.starts_with("/auth/"),
                    "{name}: {address}"
                );
            }
        }
    }
}

#[test]
fn the_request_survives_in_a_link() {
    let page = LoginPage {
        request: "a+b/c=&d é",
        ..login("ada")
    };
    let page = rendered(&page, Language::En);
    assert!(
        page.contains("href=\"/auth/signup?request=a%2Bb%2Fc%3D%26d%20%C3%A9\""),
        "{page}"
    );
}

#[test]
fn the_version_changes_with_the_brand() {
    let version = |name: &str, color: &str| {
        style_version(&Brand {
            name: name.to_owned(),
            color: color.parse().unwrap(),
            logo: None,
        })
    };
    let one = version("Acme", "#112233");
    assert_eq!(one.len(), 16);
    assert_eq!(one, version("Acme", "#112233"));
    assert_ne!(one, version("Acme", "#112244"));
    // Its initial is on the tile.
    assert_ne!(one, version("Bcme", "#112233"));
}

#[test]
fn the_script_does_not_call_a_field() {
    // `submit` is the id of the button, which would be found before the method.
    assert!(FORM_POST_SCRIPT.contains("HTMLFormElement.prototype.submit.call"));
}
