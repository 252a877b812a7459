//! Leaves in a bill what was built, under names that are the same on every machine.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::SbomError;

/// Name and version.
pub(super) type Crate = (String, String);

/// What every component must say, so that others can look for advisories and licences.
const REQUIRED: [&str; 4] = ["name", "version", "purl", "licenses"];

/// Takes out of a bill what was not built, and the paths of this machine.
///
/// # Errors
/// When something was built that the bill does not know, or about which it does not say enough.
pub(super) fn trim(bill: &Value, built: &BTreeSet<Crate>) -> Result<Value, SbomError> {
    let mut missing = built.clone();
    let mut names = BTreeMap::new();
    let mut problems = Vec::new();
    let mut bill = bill.clone();
    let Some(program) = bill.pointer_mut("/metadata/component") else {
        return Err(SbomError::Incomplete(vec![
            "it is of no program".to_owned(),
        ]));
    };
    missing.remove(&crate_of(program));
    rename(program, &mut names);
    // The program again, as its own part.
    if let Some(program) = program.as_object_mut() {
        program.remove("components");
    }
    let mut components = take_array(&mut bill, "components");
    components.retain(|component| built.contains(&crate_of(component)));
    for component in &mut components {
        let (name, version) = crate_of(component);
        let lacks = REQUIRED
            .iter()
            .filter(|member| component[**member].is_null());
        problems.extend(lacks.map(|member| format!("{name} {version}: no {member}")));
        missing.remove(&(name, version));
        rename(component, &mut names);
    }
    problems.extend(
        missing
            .iter()
            .map(|(name, version)| format!("{name} {version}: not in it")),
    );
    if !problems.is_empty() {
        return Err(SbomError::Incomplete(problems));
    }
    let mut dependencies = take_array(&mut bill, "dependencies");
    dependencies.retain(|dependency| names.contains_key(text(dependency, "ref")));
    for dependency in &mut dependencies {
        let renamed = names.get(text(dependency, "ref")).cloned();
        let on = take_array(dependency, "dependsOn").into_iter();
        let on = on.filter_map(|on| names.get(on.as_str()?).cloned());
        put(dependency, "dependsOn", on.collect::<Vec<_>>());
        put(dependency, "ref", renamed);
    }
    put(&mut bill, "components", components);
    put(&mut bill, "dependencies", dependencies);
    Ok(bill)
}

/// Our own crates are named by their paths; the names of all become their package URLs.
fn rename(component: &mut Value, names: &mut BTreeMap<String, String>) {
    let url = text(component, "purl")
        .split(['?', '#'])
        .next()
        .unwrap_or_default();
    let url = url.to_owned();
    names.insert(text(component, "bom-ref").to_owned(), url.clone());
    put(component, "bom-ref", url.clone());
    put(component, "purl", url);
}

fn crate_of(component: &Value) -> Crate {
    let text = |name| text(component, name).to_owned();
    (text("name"), text("version"))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn put(value: &mut Value, name: &str, member: impl Into<Value>) {
    if let Some(members) = value.as_object_mut() {
        members.insert(name.to_owned(), member.into());
    }
}

/// A member that is an array; empty when it is none.
fn take_array(value: &mut Value, name: &str) -> Vec<Value> {
    match value.get_mut(name).map(Value::take) {
        Some(Value::Array(array)) => array,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bill() -> Value {
        let component = |name: &str| {
            json!({
                "bom-ref": format!("registry+https://example.com#{name}@1.0.0"),
                "name": name, "version": "1.0.0", "purl": format!("pkg:cargo/{name}@1.0.0"),
                "licenses": [{ "expression": "MIT" }],
            })
        };
        json!({
            "metadata": { "component": {
                "bom-ref": "path+file:///home/somebody#program@0.1.0", "name": "program",
                "version": "0.1.0", "purl": "pkg:cargo/program@0.1.0?download_url=file://.#src/main.rs",
                "components": [{}],
            } },
            "components": [component("used"), component("unused")],
            "dependencies": [
                { "ref": "path+file:///home/somebody#program@0.1.0", "dependsOn": [
                    "registry+https://example.com#used@1.0.0",
                    "registry+https://example.com#unused@1.0.0",
                ] },
                { "ref": "registry+https://example.com#used@1.0.0" },
                { "ref": "registry+https://example.com#unused@1.0.0" },
            ],
        })
    }

    fn crates(names: &[(&str, &str)]) -> BTreeSet<Crate> {
        let names = names.iter();
        names
            .map(|(name, version)| ((*name).to_owned(), (*version).to_owned()))
            .collect()
    }

    #[test]
    fn what_was_not_built_is_taken_out_and_no_path_stays() {
        let trimmed = trim(&bill(), &crates(&[("program", "0.1.0"), ("used", "1.0.0")])).unwrap();
        let text = trimmed.to_string();
        assert!(
            !text.contains("unused") && !text.contains("/home/somebody"),
            "{text}"
        );
        assert_eq!(
            trimmed["dependencies"],
            json!([
                { "ref": "pkg:cargo/program@0.1.0", "dependsOn": ["pkg:cargo/used@1.0.0"] },
                { "ref": "pkg:cargo/used@1.0.0", "dependsOn": [] },
            ])
        );
    }

    #[test]
    fn what_was_built_and_is_not_in_it_is_an_error() {
        let built = crates(&[("program", "0.1.0"), ("used", "2.0.0")]);
        let error = trim(&bill(), &built).unwrap_err();
        assert!(
            error.to_string().contains("used 2.0.0: not in it"),
            "{error}"
        );
    }

    #[test]
    fn a_component_without_a_licence_is_an_error() {
        let mut bill = bill();
        bill["components"][0]["licenses"] = Value::Null;
        let error = trim(&bill, &crates(&[("program", "0.1.0"), ("used", "1.0.0")])).unwrap_err();
        assert!(
            error.to_string().contains("used 1.0.0: no licenses"),
            "{error}"
        );
    }
}
