//! Every metric that the guide, the dashboard and the alerts name is there, with its labels.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use reqwest::Method;
use serde_json::Value;

use super::files::{root, rust_source};
use crate::harness::{Database, TestApp, skip, wait};

const GUIDE: &str = include_str!("../../docs/guides/operating.md");
const DASHBOARD: &str = include_str!("../../deploy/grafana/tokensmith.json");
const ALERTS: &str = include_str!("../../deploy/prometheus/alerts.yaml");
/// Prometheus adds them.
const LABELS_OF_PROMETHEUS: &[&str] = &["instance", "job"];

#[tokio::test]
async fn every_metric_of_the_guide_the_dashboard_and_the_alerts_exists() {
    let series = series_of(&metrics_of_a_busy_server().await);
    let names = GUIDE.match_indices("`tokensmith_").map(|(at, _)| {
        let rest = &GUIDE[at + 1..];
        rest.split(['`', '{']).next().unwrap()
    });
    let names: BTreeSet<&str> = names.collect();
    for name in &names {
        let exists = series.keys().any(|series| series.starts_with(name));
        assert!(exists, "{name} in the guide");
    }
    assert!(names.len() >= 15, "{names:?}");

    let source = rust_source();
    let expressions = [dashboard_expressions(), alert_expressions()].concat();
    assert!(expressions.len() >= 40, "{}", expressions.len());
    let mut used = BTreeSet::new();
    for expression in &expressions {
        for (name, selector) in selectors(expression) {
            let labels = series.get(&name);
            let labels = labels.unwrap_or_else(|| panic!("{name} in {expression}"));
            for (label, value) in matchers(&selector) {
                let known =
                    labels.contains(&label) || LABELS_OF_PROMETHEUS.contains(&label.as_str());
                assert!(known, "{name} has no label {label}: {expression}");
                let words = value
                    .split('|')
                    .filter(|word| !word.starts_with(['$', '.']));
                for word in words {
                    assert!(
                        source.contains(&format!("\"{word}\"")),
                        "{word}: {expression}"
                    );
                }
            }
            used.insert(name);
        }
        for label in grouping(expression) {
            let known = LABELS_OF_PROMETHEUS.contains(&label.as_str())
                || series.values().any(|labels| labels.contains(&label));
            assert!(known, "nothing has the label {label}: {expression}");
        }
    }
    assert!(used.len() >= 20, "{used:?}");
}

/// The rules do what they say: `alerts.test.yaml`.
#[test]
fn every_alert_fires_when_it_should_and_is_silent_on_a_quiet_day() {
    let tests = root().join("deploy/prometheus/alerts.test.yaml");
    let Some(said) = promtool(&["test", "rules"], &tests) else {
        return;
    };
    assert!(said.contains("SUCCESS"), "{said}");
    let text = std::fs::read_to_string(&tests).unwrap();
    let names = ALERTS
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    for name in names {
        assert!(
            text.contains(&format!("alertname: {name}}}")),
            "nobody tests {name}"
        );
    }
}

/// Prometheus reads every expression of the dashboard.
#[test]
fn every_expression_of_the_dashboard_can_be_read() {
    let rules: Vec<Value> = dashboard_expressions()
        .into_iter()
        .enumerate()
        .map(|(number, expression)| {
            let expression = expression.replace("$__rate_interval", "1m");
            serde_json::json!({ "record": format!("panel_{number}"), "expr": expression })
        })
        .collect();
    let rules = serde_json::json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rules.yaml");
    // JSON is YAML.
    std::fs::write(&file, rules.to_string()).unwrap();
    if let Some(said) = promtool(&["check", "rules"], &file) {
        assert!(said.contains("SUCCESS"), "{said}");
    }
}

/// What promtool says of a file; `None` where it is not installed.
fn promtool(arguments: &[&str], file: &Path) -> Option<String> {
    let Ok(output) = Command::new("promtool").args(arguments).arg(file).output() else {
        skip(
            "promtool",
            "install it (Debian: apt-get install prometheus)",
        );
        return None;
    };
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(output.status.success(), "{said}");
    Some(said)
}

/// The metrics of a server that has done a bit of everything.
async fn metrics_of_a_busy_server() -> String {
    let database = Database::sqlite();
    let limited = [("TOKENSMITH_LIMITS_CLIENT_PER_SECOND", "1")];
    let app = TestApp::start_with(&database, &limited).await;
    let orders = app.orders().await;
    wait::until("the client has to wait", || async {
        (app.token(&orders, &[]).await.status == 429).then_some(())
    })
    .await;
    let phone = app.phone().await;
    let tokens = app.login(&phone, &app.user("ada").await).await;
    app.refresh(&phone, &tokens.refresh_token, &[]).await;
    let inside = ["--backchannel-logout-uri", "https://10.0.0.1/told"];
    let arguments = [&["--public", "--first-party"][..], &inside].concat();
    let told = app.app_for_people("told", &arguments).await;
    let tokens = app.login(&told, &app.user("grace").await).await;
    app.revoke(&told, &tokens.refresh_token).await;
    wait::until("it was tried to tell the client", || async {
        let tried = app.metric("tokensmith_logout_deliveries_total", "forbidden");
        (tried.await > 0.0).then_some(())
    })
    .await;
    let long_ago = app.request(Method::GET, "/revocation/changes?after=1.1");
    assert_eq!(long_ago.send().await.unwrap().status(), 410);
    let forged = app.admin("forged", Method::GET, "/clients", None);
    assert_eq!(forged.await.status, 401);
    wait::until("key ages are listed", || async {
        let metrics = app.get("/metrics").await.text;
        metrics.contains("state=\"active\"").then_some(metrics)
    })
    .await
}

/// Names of series to the labels that they have.
fn series_of(metrics: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut series = BTreeMap::<String, BTreeSet<String>>::new();
    // What Prometheus makes itself.
    series.entry("up".to_owned()).or_default();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let labels = line.split_once('{').map_or("", |(_, rest)| rest);
        let labels = matchers(labels.rsplit_once('}').map_or("", |(inside, _)| inside));
        let known = series.entry(name.to_owned()).or_default();
        known.extend(labels.into_iter().map(|(label, _)| label));
    }
    series
}

fn dashboard_expressions() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut found = Vec::new();
    collect("expr", &dashboard, &mut found);
    collect("definition", &dashboard, &mut found);
    found.retain(|expression| !expression.starts_with("label_values("));
    found
}

fn alert_expressions() -> Vec<String> {
    let alerts: Value = serde_saphyr::from_str(ALERTS).unwrap();
    let mut found = Vec::new();
    collect("expr", &alerts, &mut found);
    found
}

/// The texts of all members with a name.
fn collect(name: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                match value {
                    Value::String(text) if member == name => found.push(text.clone()),
                    _ => collect(name, value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(name, value, found)),
        _ => {}
    }
}

/// Names of series in an expression, each with what stands behind it in braces.
fn selectors(expression: &str) -> Vec<(String, String)> {
    let starts = expression.match_indices("tokensmith_").map(|(at, _)| at);
    starts
        .map(|at| {
            let rest = &expression[at..];
            let is_name = |character: char| character.is_ascii_lowercase() || character == '_';
            let end = rest
                .find(|character| !is_name(character))
                .unwrap_or(rest.len());
            let (name, behind) = rest.split_at(end);
            let inside = behind.strip_prefix('{').and_then(|it| it.split_once('}'));
            (
                name.to_owned(),
                inside.map_or("", |(inside, _)| inside).to_owned(),
            )
        })
        .collect()
}

/// Label and value of each `label="value"`, `label=~"value"` and `label!="value"`.
fn matchers(selector: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = selector;
    while let Some((label, behind)) = rest.split_once('=') {
        let behind = behind.trim_start_matches('~').strip_prefix('"').unwrap();
        let (value, behind) = behind.split_once('"').unwrap();
        let label = label.trim_start_matches(',').trim_end_matches('!').trim();
        found.push((label.to_owned(), value.to_owned()));
        rest = behind;
    }
    found
}

/// The labels in `by (…)`.
fn grouping(expression: &str) -> Vec<String> {
    let groups = expression.split(" by (").skip(1);
    let inside = groups.filter_map(|rest| rest.split_once(')').map(|(inside, _)| inside));
    let labels = inside.flat_map(|inside| inside.split(','));
    labels.map(|label| label.trim().to_owned()).collect()
}
