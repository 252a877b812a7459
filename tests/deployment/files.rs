//! What the files of `deploy/` name exists, and what several of them say agrees.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::command::run;
use crate::harness::{Database, TestApp, skip, tokensmith};

const PORT: u64 = 8080;

pub(super) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All that stands in the sources of the server and of the verifier in it.
pub(super) fn rust_source() -> String {
    let directories = ["src", "verifier/src"].map(|directory| root().join(directory));
    let files = directories
        .iter()
        .flat_map(|directory| files_below(directory));
    let rust = files.filter(|file| file.extension().is_some_and(|it| it == "rs"));
    rust.map(|file| std::fs::read_to_string(file).unwrap())
        .collect()
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        // What make-secrets.sh has made is nobody's business.
        if path.is_dir() && !path.ends_with("deploy/secrets") {
            found.extend(files_below(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Everything in `deploy/` and the Dockerfile, by name.
fn deployed() -> Vec<(String, String)> {
    let mut files = files_below(&root().join("deploy"));
    files.push(root().join("Dockerfile"));
    let texts = files.into_iter().map(|file| {
        let text = std::fs::read_to_string(&file).unwrap();
        (file.display().to_string(), text)
    });
    texts.collect()
}

#[test]
fn every_variable_that_is_set_is_one_of_a_setting() {
    let printed = run(&mut tokensmith(&["config", "print", "--json"])).json();
    let settings = printed.as_array().unwrap().iter();
    let names = settings.map(|setting| setting["name"].as_str().unwrap());
    let mut known: BTreeSet<String> = names
        .map(|name| format!("TOKENSMITH_{}", name.replace('.', "_").to_uppercase()))
        .collect();
    known.insert("TOKENSMITH_CONFIG".to_owned());
    let mut count = 0;
    for (file, text) in deployed() {
        for (at, _) in text.match_indices("TOKENSMITH_") {
            let is_name = |character: char| character.is_ascii_uppercase() || character == '_';
            let rest = &text[at..];
            let end = rest
                .find(|character| !is_name(character))
                .unwrap_or(rest.len());
            assert!(known.contains(&rest[..end]), "{} in {file}", &rest[..end]);
            count += 1;
        }
    }
    assert!(count >= 20, "{count}");
}

#[test]
fn the_settings_for_kubernetes_are_right() {
    let file = root().join("deploy/kubernetes/tokensmith.toml");
    let mut command = tokensmith(&["config", "check"]);
    let said = run(command.env("TOKENSMITH_CONFIG", file));
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
}

#[test]
fn every_file_of_yaml_can_be_read() {
    let mut count = 0;
    for (file, text) in deployed() {
        if Path::new(&file).extension().is_some_and(|it| it == "yaml") {
            let read = serde_saphyr::from_str::<Value>(&text);
            assert!(read.is_ok_and(|value| value.is_object()), "{file}");
            count += 1;
        }
    }
    assert!(count >= 10, "{count}");
    let kustomization = yaml("deploy/kubernetes/kustomization.yaml");
    for resource in kustomization["resources"].as_array().unwrap() {
        let resource = yaml(&format!("deploy/kubernetes/{}", resource.as_str().unwrap()));
        assert_eq!(resource["metadata"]["name"], "tokensmith");
    }
}

#[tokio::test]
async fn the_probes_ask_for_what_there_is() {
    let container = container();
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let asked = &container[probe]["httpGet"];
        assert_eq!(asked["port"], "http", "{probe}");
        let path = asked["path"].as_str().unwrap();
        assert_eq!(app.get(path).await.status, 200, "{probe}");
    }
    let monitor = yaml("deploy/kubernetes/service-monitor.yaml");
    let deployment = yaml("deploy/kubernetes/deployment.yaml");
    let annotations = &deployment["spec"]["template"]["metadata"]["annotations"];
    for path in [
        &monitor["spec"]["endpoints"][0]["path"],
        &annotations["prometheus.io/path"],
    ] {
        assert_eq!(app.get(path.as_str().unwrap()).await.status, 200);
    }
}

#[test]
fn the_ports_agree() {
    let dockerfile = read("Dockerfile");
    for line in [
        format!("EXPOSE {PORT}"),
        format!("TOKENSMITH_LISTEN=0.0.0.0:{PORT}"),
    ] {
        assert!(dockerfile.contains(&line), "{line}");
    }
    let container = container();
    assert_eq!(container["ports"][0]["containerPort"], PORT);
    assert_eq!(container["ports"][0]["name"], "http");
    let deployment = yaml("deploy/kubernetes/deployment.yaml");
    let annotations = &deployment["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(annotations["prometheus.io/port"], PORT.to_string());
    let service = yaml("deploy/kubernetes/service.yaml");
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "http");
    let policy = yaml("deploy/kubernetes/network-policy.yaml");
    assert_eq!(policy["spec"]["ingress"][0]["ports"][0]["port"], "http");
    let settings: toml::Table = read("deploy/kubernetes/tokensmith.toml").parse().unwrap();
    assert_eq!(settings["listen"].as_str(), Some("0.0.0.0:8080"));

    let compose = yaml("deploy/compose.yaml");
    let nginx = read("deploy/nginx.conf");
    let upstream: BTreeSet<&str> = nginx
        .lines()
        .filter_map(|line| line.trim().strip_prefix("server tokensmith-"))
        .map(|rest| rest.split(' ').next().unwrap())
        .collect();
    assert_eq!(upstream, BTreeSet::from(["1:8080", "2:8080"]));
    for name in ["tokensmith-1", "tokensmith-2"] {
        assert!(compose["services"][name].is_object(), "{name}");
    }
    let published = compose["services"]["nginx"]["ports"][0].as_str().unwrap();
    assert!(published.ends_with(&format!(":{PORT}")), "{published}");
    let proxy = &compose["services"]["nginx"]["networks"]["inside"]["ipv4_address"];
    let trusted = &compose["x-tokensmith"]["environment"]["TOKENSMITH_TRUSTED_PROXIES"];
    assert_eq!(proxy, trusted);
}

#[test]
fn there_is_time_to_stop() {
    let settings: toml::Table = read("deploy/kubernetes/tokensmith.toml").parse().unwrap();
    let timeout = settings["shutdown_timeout"].as_str().unwrap();
    let timeout: u64 = timeout.trim_end_matches('s').parse().unwrap();
    let deployment = yaml("deploy/kubernetes/deployment.yaml");
    let grace = &deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"];
    let pause = &container()["lifecycle"]["preStop"]["sleep"]["seconds"];
    assert!(grace.as_u64().unwrap() > pause.as_u64().unwrap() + timeout);
    let compose = yaml("deploy/compose.yaml");
    assert_eq!(compose["x-tokensmith"]["stop_grace_period"], "20s");
    assert!(read("deploy/systemd/tokensmith.service").contains("\nTimeoutStopSec=20s\n"));
}

#[test]
fn the_selectors_for_kubernetes_select_the_pods_and_not_the_database() {
    let kustomization = yaml("deploy/kubernetes/kustomization.yaml");
    for label in kustomization["labels"].as_array().unwrap() {
        // It would take the place of selectors of other pods.
        assert_eq!(label["includeSelectors"], false);
    }
    let resources = kustomization["resources"].as_array().unwrap().iter();
    let files = resources.map(|name| format!("deploy/kubernetes/{}", name.as_str().unwrap()));
    assert_selectors(&files.map(|file| yaml(&file)).collect::<Vec<_>>());

    let built = Command::new("kubectl")
        .arg("kustomize")
        .arg(root().join("deploy/kubernetes"))
        .output();
    let Ok(built) = built else {
        skip(
            "kubectl",
            "install it (https://kubernetes.io/docs/tasks/tools)",
        );
        return;
    };
    let said = String::from_utf8([built.stdout, built.stderr].concat()).unwrap();
    assert!(built.status.success(), "{said}");
    let documents = said.split("\n---\n");
    let read = documents.map(|text| serde_saphyr::from_str(text).unwrap());
    assert_selectors(&read.collect::<Vec<_>>());
}

fn assert_selectors(resources: &[Value]) {
    let of_kind = |kind: &str| {
        let mut all = resources.iter().filter(|resource| resource["kind"] == kind);
        let spec = &all.next().unwrap_or_else(|| panic!("no {kind}"))["spec"];
        assert!(all.next().is_none(), "two of {kind}");
        spec
    };
    let pod = &of_kind("Deployment")["template"]["metadata"]["labels"];
    let selects = |selector: &Value| {
        let labels = selector.as_object().unwrap();
        labels.iter().all(|(name, value)| pod[name] == *value)
    };
    let policy = of_kind("NetworkPolicy");
    for (what, selector) in [
        (
            "Deployment",
            &of_kind("Deployment")["selector"]["matchLabels"],
        ),
        ("Service", &of_kind("Service")["selector"]),
        (
            "PodDisruptionBudget",
            &of_kind("PodDisruptionBudget")["selector"]["matchLabels"],
        ),
        ("NetworkPolicy", &policy["podSelector"]["matchLabels"]),
    ] {
        let is_there = selector.as_object().is_some_and(|it| !it.is_empty());
        assert!(is_there, "{what} selects everything, or nothing");
        assert!(selects(selector), "{what}: {selector} and not {pod}");
    }
    let receivers = policy["egress"].as_array().unwrap().iter();
    let receivers = receivers.flat_map(|rule| rule["to"].as_array().unwrap());
    let pods = receivers.filter_map(|receiver| receiver.get("podSelector"));
    let databases: Vec<_> = pods.map(|selector| &selector["matchLabels"]).collect();
    assert_eq!(databases.len(), 1, "{databases:?}");
    assert!(!selects(databases[0]), "the database is {}", databases[0]);
}

#[test]
fn the_proxy_that_is_trusted_in_kubernetes_is_an_example_that_is_nobody() {
    let settings: toml::Table = read("deploy/kubernetes/tokensmith.toml").parse().unwrap();
    for network in settings["trusted_proxies"].as_array().unwrap() {
        let network = network.as_str().unwrap();
        // RFC 5737 §3: addresses for documentation.
        let (address, length) = network.split_once('/').unwrap_or((network, "32"));
        assert!(address.starts_with("192.0.2."), "{network}");
        assert!(length.parse::<u8>().unwrap() >= 24, "{network}");
    }
}

#[test]
fn the_proxy_waits_longer_than_the_server_takes() {
    let gate = read("src/store/gate.rs");
    let (_, rest) = gate
        .split_once("const THOROUGH_TIMEOUT: Duration = Duration::from_secs(")
        .unwrap();
    let longest: u64 = rest.split(')').next().unwrap().parse().unwrap();
    let nginx = read("deploy/nginx.conf");
    let (_, rest) = nginx
        .split_once("location ~ ^/(api/me|account|logout|oauth/logout)(/|$) {")
        .unwrap();
    let location = rest.split('}').next().unwrap();
    assert!(number_after(location, "proxy_read_timeout ") > longest);
    // The first expression that fits is the one.
    let (_, others) = rest.split_once("location ~ ^/(oauth|").unwrap();
    let (others, _) = others.split_once(')').unwrap();
    for path in ["api/me", "account", "logout"] {
        assert!(
            !others.split('|').any(|other| other == path),
            "{path} twice"
        );
    }
}

#[test]
fn the_proxy_may_open_a_file_for_each_connection() {
    let nginx = read("deploy/nginx.conf");
    let connections = number_after(&nginx, "worker_connections ");
    let files = number_after(&nginx, "worker_rlimit_nofile ");
    assert!(files >= 2 * connections, "{files} for {connections}");
    let compose = yaml("deploy/compose.yaml");
    let allowed = compose["services"]["nginx"]["ulimits"]["nofile"].as_u64();
    assert!(allowed >= Some(files), "{allowed:?}");
}

/// The number of a directive of nginx.
fn number_after(text: &str, directive: &str) -> u64 {
    let (_, rest) = text.split_once(directive).unwrap();
    let (value, _) = rest.split_once(';').unwrap();
    value.trim_end_matches('s').parse().unwrap()
}

#[test]
fn nothing_may_more_than_it_needs() {
    let deployment = yaml("deploy/kubernetes/deployment.yaml");
    let pod = &deployment["spec"]["template"]["spec"]["securityContext"];
    assert_eq!(
        (&pod["runAsNonRoot"], &pod["runAsUser"]),
        (&true.into(), &65_532.into())
    );
    let container = container();
    let context = &container["securityContext"];
    assert_eq!(context["readOnlyRootFilesystem"], true);
    assert_eq!(context["allowPrivilegeEscalation"], false);
    assert_eq!(context["capabilities"]["drop"][0], "ALL");
    let compose = yaml("deploy/compose.yaml");
    let services = compose["services"].as_object().unwrap();
    for (name, service) in services {
        // What is merged stands where it is merged from.
        let service = if name.starts_with("tokensmith") {
            &compose["x-tokensmith"]
        } else {
            service
        };
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"][0], "ALL", "{name}");
        assert_eq!(
            service["security_opt"][0], "no-new-privileges:true",
            "{name}"
        );
    }
    assert!(read("Dockerfile").contains("\nUSER 65532:65532\n"));
}

#[test]
fn the_unit_of_systemd_is_right() {
    let unit = read("deploy/systemd/tokensmith.service");
    // systemd looks whether the program is there.
    let program = "ExecStart=/usr/local/bin/tokensmith";
    assert!(unit.contains(program));
    let own = format!("ExecStart={}", env!("CARGO_BIN_EXE_tokensmith"));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tokensmith.service");
    std::fs::write(&file, unit.replace(program, &own)).unwrap();
    let verified = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&file)
        .output();
    let Ok(verified) = verified else {
        skip(
            "systemd-analyze",
            "install it (Debian: apt-get install systemd)",
        );
        return;
    };
    let said = String::from_utf8([verified.stdout, verified.stderr].concat()).unwrap();
    assert!(verified.status.success(), "{said}");
    assert!(!said.contains("tokensmith.service:"), "{said}");
}

fn container() -> Value {
    let deployment = yaml("deploy/kubernetes/deployment.yaml");
    deployment["spec"]["template"]["spec"]["containers"][0].clone()
}
