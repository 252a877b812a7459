//! The forms that one secret takes on its way into a log, a page or a row.

use std::collections::BTreeSet;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// A part of this length tells a secret from everything else, and finds what was cut short.
const MOST_BYTES: usize = 36;
/// What is shorter in a form may be there by chance.
const LEAST_BYTES: usize = 8;
/// Where a token of a session or a cookie begins to be secret: before it are id and generation, which rows
/// and logs name. HMAC-SHA-256, cut to 192 bits.
const MAC_BYTES: usize = 24;
const ID_BYTES: usize = 16;
/// A client secret or a code without its checksum.
const RANDOM_CHARACTERS: usize = 43;

/// Every form in which a secret would be found.
pub(super) fn of(secret: &str) -> BTreeSet<Vec<u8>> {
    let (text, bytes) = core(secret);
    let mut forms = BTreeSet::new();
    // In full or cut short, as it is or packed: Basic credentials pack it behind the client's id.
    add_text(&mut forms, text);
    add_packed(&mut forms, text.as_bytes());
    if !bytes.is_empty() {
        let bytes = &bytes[..bytes.len().min(MOST_BYTES)];
        forms.insert(bytes.to_vec());
        add_packed(&mut forms, bytes);
    }
    forms.retain(|form| form.len() >= LEAST_BYTES && is_distinctive(form));
    forms
}

/// Zeros, and `xxxxxxxx` for a password, are everywhere.
fn is_distinctive(form: &[u8]) -> bool {
    form.iter().collect::<BTreeSet<_>>().len() >= LEAST_BYTES / 2
}

/// What is secret in it, as it is written and as the bytes that it stands for; no bytes when it stands for
/// itself. Claims may be known, a signature may not.
fn core(secret: &str) -> (&str, Vec<u8>) {
    let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
    let parts: Vec<_> = secret.split('.').collect();
    if let [header, _, signature] = parts[..]
        && header.starts_with("eyJ")
        && signature.len() >= RANDOM_CHARACTERS
    {
        return (signature, decoded(signature));
    }
    let body = secret.split_at_checked("tsx1_".len());
    match body {
        Some(("tss1_" | "tsc1_", body)) if body.len() >= RANDOM_CHARACTERS => {
            let random = &body[..RANDOM_CHARACTERS];
            (random, decoded(random))
        }
        Some(("tsr1_" | "tsl1_" | "tsa1_", body)) => {
            let bytes = decoded(body);
            // A test may have cut it short.
            let mac = bytes.len().checked_sub(MAC_BYTES);
            let mac = mac.filter(|start| *start >= ID_BYTES);
            let mac = mac.map_or_else(Vec::new, |start| bytes[start..].to_vec());
            (secret, mac)
        }
        _ => (
            secret,
            // The master key is written in the one alphabet, the rest in the other.
            base64::engine::general_purpose::STANDARD
                .decode(secret)
                .unwrap_or_else(|_| decoded(secret)),
        ),
    }
}

fn add_text(forms: &mut BTreeSet<Vec<u8>>, text: &str) {
    let end = text.floor_char_boundary(MOST_BYTES.max(3 * LEAST_BYTES));
    let text = &text[..end];
    let quoted = [
        text.to_owned(),
        serde_json::to_string(text)
            .unwrap()
            .trim_matches('"')
            .to_owned(),
        text.escape_debug().to_string(),
        text.escape_default().to_string(),
        // SQL, as `quote` writes it.
        text.replace('\'', "''"),
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;"),
    ];
    forms.extend(quoted.map(String::into_bytes));
    let form = url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let strict = utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let loose = form.replace('+', "%20");
    for encoded in [form, strict, loose] {
        forms.insert(lower_escapes(&encoded).into_bytes());
        forms.insert(encoded.into_bytes());
    }
}

/// Hexadecimal, base64 from wherever it begins, and a list of numbers as `{:?}` writes it.
fn add_packed(forms: &mut BTreeSet<Vec<u8>>, bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(MOST_BYTES)];
    let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    forms.insert(hex.to_uppercase().into_bytes());
    forms.insert(hex.into_bytes());
    let list = format!("{bytes:?}");
    forms.insert(list.trim_matches(['[', ']']).as_bytes().to_vec());
    for before in 0..3 {
        let mut padded = vec![0; before];
        padded.extend(bytes);
        // Characters that are made of these bytes alone.
        let first = (before * 8).div_ceil(6);
        let last = padded.len() * 8 / 6;
        for text in [
            STANDARD_NO_PAD.encode(&padded),
            URL_SAFE_NO_PAD.encode(&padded),
        ] {
            forms.insert(text.as_bytes()[first..last].to_vec());
        }
    }
}

/// `%2B` as `%2b`.
fn lower_escapes(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (escape, rest) = part.split_at(2);
        format!("{text}%{}{rest}", escape.to_lowercase())
    })
}
