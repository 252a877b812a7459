use super::*;

fn load(environment: &Environment) -> Result<Settings, ConfigError> {
    // A directory without tokensmith.toml: tests run in the package's root, which has none.
    Settings::load(&Flags::default(), environment)
}

fn error(environment: &Environment) -> String {
    load(environment).err().unwrap().to_string()
}

fn load_file(text: &str) -> Result<Settings, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tokensmith.toml");
    std::fs::write(&path, text).unwrap();
    let flags = Flags {
        config: Some(path),
        values: Vec::new(),
    };
    Settings::load(&flags, &Environment::default())
}

#[test]
fn the_defaults_are_complete() {
    let settings = load(&Environment::default()).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.database.to_string(), "sqlite:./data/tokensmith.db");
    assert_eq!(settings.access_token_ttl, Duration::from_mins(5));
    assert_eq!(settings.rotation.lead_time, chrono::TimeDelta::hours(24));
}

#[test]
fn a_flag_beats_a_variable_beats_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.toml");
    std::fs::write(
        &path,
        "listen = '127.0.0.1:1'\ndata_dir = 'from-file'\nkeys_dir = 'k'",
    )
    .unwrap();
    let flags = Flags {
        config: Some(path),
        values: vec![("listen", "127.0.0.1:3".into())],
    };
    let environment = [
        ("TOKENSMITH_LISTEN", "127.0.0.1:2"),
        ("TOKENSMITH_DATA_DIR", "from-variable"),
    ]
    .into();
    let settings = Settings::load(&flags, &environment).unwrap();
    assert_eq!(settings.listen.port(), 3);
    assert_eq!(settings.data_dir, PathBuf::from("from-variable"));
    assert_eq!(settings.keys_dir, PathBuf::from("k"));
}

#[test]
fn a_wrong_value_is_named_with_its_place_and_what_would_be_right() {
    assert_eq!(
        error(&[("TOKENSMITH_LISTEN", "8080")].into()),
        "listen = \"8080\" (from variable TOKENSMITH_LISTEN) is not right, invalid socket address \
         syntax: expected address:port, such as 127.0.0.1:8080",
    );
    let file = load_file("[tokens]\naccess_token_ttl = '2h'")
        .err()
        .unwrap()
        .to_string();
    assert!(
        file.starts_with("tokens.access_token_ttl = \"2h\" (from file "),
        "{file}"
    );
    assert!(
        file.ends_with("out of range: expected a duration from 1s to 1h"),
        "{file}"
    );
}

#[test]
fn a_setting_that_does_not_exist_is_refused_with_a_suggestion() {
    let text = load_file("[keys]\nrotation_periods = '3d'")
        .err()
        .unwrap()
        .to_string();
    assert!(
        text.ends_with("is no setting; did you mean \"keys.rotation_period\"?"),
        "{text}"
    );
    let text = load_file("frobnicate = 1").err().unwrap().to_string();
    assert!(text.ends_with("is no setting"), "{text}");
}

#[test]
fn a_file_that_is_not_toml_or_not_there_is_named() {
    assert!(matches!(
        load_file("listen = "),
        Err(ConfigError::Unreadable { .. })
    ));
    let flags = Flags {
        config: Some("/nonexistent/t.toml".into()),
        values: Vec::new(),
    };
    let missing = Settings::load(&flags, &Environment::default());
    assert!(matches!(missing, Err(ConfigError::Unreadable { .. })));
}

#[test]
fn a_key_must_be_published_for_twice_the_time_that_others_keep_the_jwks() {
    let text = load_file("[jwks]\nmax_age = '1h'\n[keys]\nlead_time = '1h'")
        .err()
        .unwrap();
    assert!(
        text.to_string()
            .contains("must be at least 2h (twice jwks.max_age)"),
        "{text}"
    );
    let text = load_file("[keys]\nrotation_period = '24h'").err().unwrap();
    assert!(
        text.to_string().contains("longer than keys.lead_time"),
        "{text}"
    );
}

#[test]
fn a_password_in_a_database_url_is_never_shown() {
    for url in [
        "postgres://me:hunter2@db:port/auth",
        "postgres://db/auth?user=me&password=hunter2&sslmod=require",
        "postgres://me:123?hunter2rest@db/auth",
        "mysql://me:hunter2@db/auth",
        "hunter2",
    ] {
        let text = error(&[("TOKENSMITH_DATABASE_URL", url)].into());
        assert!(!text.contains("hunter2"), "{text}");
    }
    let good = [("TOKENSMITH_DATABASE_URL", "postgres://me:hunter2@db/auth")].into();
    let printed = Settings::print(&Flags::default(), &good).unwrap();
    assert!(
        printed
            .iter()
            .all(|setting| !format!("{setting:?}").contains("hunter2"))
    );
    let secret = [("TOKENSMITH_MASTER_KEY", "c2VjcmV0")].into();
    let printed = Settings::print(&Flags::default(), &secret).unwrap();
    assert!(
        printed
            .iter()
            .all(|setting| !format!("{setting:?}").contains("c2VjcmV0"))
    );
}

#[test]
fn trusted_proxies_are_a_text_or_an_array() {
    let expected = "10.0.0.0/8, 2001:db8::1".parse().unwrap();
    for file in [
        "trusted_proxies = '10.0.0.0/8 2001:db8::1'",
        "trusted_proxies = ['10.0.0.0/8', '2001:db8::1']",
    ] {
        let settings = load_file(file).unwrap();
        assert_eq!(settings.trusted_proxies, expected, "{file}");
    }
    let variable = [("TOKENSMITH_TRUSTED_PROXIES", "10.0.0.0/8,2001:db8::1")].into();
    assert_eq!(load(&variable).unwrap().trusted_proxies, expected);
    for none in ["", "trusted_proxies = ''", "trusted_proxies = []"] {
        let settings = load_file(none).unwrap();
        assert_eq!(settings.trusted_proxies, Networks::default(), "{none}");
    }
}

#[test]
fn receivers_that_are_not_public_are_listed_like_proxies() {
    let expected = "10.1.0.0/16 fd00::/8".parse().unwrap();
    let settings = load_file("private_receivers = ['10.1.0.0/16', 'fd00::/8']").unwrap();
    assert_eq!(settings.private_receivers, expected);
    let variable = [("TOKENSMITH_PRIVATE_RECEIVERS", "10.1.0.0/16,fd00::/8")].into();
    assert_eq!(load(&variable).unwrap().private_receivers, expected);
    assert_eq!(
        load_file("").unwrap().private_receivers,
        Networks::default()
    );
    assert!(load_file("private_receivers = '0.0.0.0/0'").is_err());
}

#[test]
fn a_wrong_proxy_is_named_with_its_place() {
    assert_eq!(
        error(&[("TOKENSMITH_TRUSTED_PROXIES", "::1, 10.0.0.0/33")].into()),
        "trusted_proxies = \"::1, 10.0.0.0/33\" (from variable TOKENSMITH_TRUSTED_PROXIES) is not \
         right, \"10.0.0.0/33\" is neither an address nor a network: expected addresses and \
         networks such as 10.0.0.0/8, with commas between",
    );
    assert!(load_file("trusted_proxies = [10]").is_err());
}

#[test]
fn an_array_is_for_lists_only() {
    assert!(load_file("listen = ['127.0.0.1:1']").is_err());
}

#[test]
fn two_places_for_the_master_key_contradict_each_other() {
    let both = [
        ("TOKENSMITH_MASTER_KEY", "x"),
        ("TOKENSMITH_MASTER_KEY_FILE", "/y"),
    ]
    .into();
    assert!(error(&both).contains("either master_key or master_key_file, not both"));
}

#[test]
fn variables_of_other_programs_are_left_alone() {
    // Kubernetes makes such variables for a service that is called tokensmith.
    assert!(load(&[("TOKENSMITH_PORT", "tcp://10.0.0.1:80")].into()).is_ok());
}

#[test]
fn every_setting_stands_in_the_page_of_defaults() {
    let page = include_str!("../../docs/defaults.md");
    for setting in settings() {
        assert!(
            page.contains(&format!("`{}`", setting.name)),
            "{}",
            setting.name
        );
    }
}
