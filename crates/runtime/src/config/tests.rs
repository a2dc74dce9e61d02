use secrecy::ExposeSecret;

use super::*;

#[test]
fn the_defaults_are_valid() {
    let config = Config::load(None, &[]).unwrap();
    assert_eq!(config.worker.history_days, 365);
    assert_eq!(config.leases.ttl, Duration::from_secs(30));
}

#[test]
fn all_faults_are_reported_at_once_and_without_secrets() {
    let overrides = [
        ("database.url", "mysql://root:canary@db/x".to_owned()),
        ("worker.concurrency", "many".to_owned()),
        ("worker.concurency", "3".to_owned()),
        ("credentials.listen", "localhost".to_owned()),
    ];
    let faults = Config::load(None, &overrides).unwrap_err();
    let keys: Vec<_> = faults.0.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(keys, ["database.url", "credentials.listen", "worker.concurrency", "worker.concurency"]);
    let text = faults.to_string();
    assert!(text.contains("TIDEMARK_DATABASE__URL"), "{text}");
    assert!(text.contains("did you mean `worker.concurrency`?"), "{text}");
    assert!(!text.contains("canary"), "{text}");
}

#[test]
fn a_typo_is_answered_with_the_setting_that_was_meant() {
    for (typo, meant) in [
        ("databse.url", Some("database.url")),
        ("rpc.tokn", Some("rpc.token")),
        ("console.publicurl", Some("console.public_url")),
        ("quantum.flux", None),
    ] {
        let faults = Config::load(None, &[(typo, "canary".to_owned())]).unwrap_err();
        assert_eq!(faults.0[0].key, typo);
        let expected = meant
            .map_or("is not a setting; `tidemark config reference` lists them all".to_owned(), |meant| {
                format!("is not a setting; did you mean `{meant}`?")
            });
        assert_eq!(faults.0[0].problem, expected);
        assert!(!faults.to_string().contains("canary"));
    }
}

#[test]
fn services_are_found_where_they_listen_unless_a_url_says_otherwise() {
    let found = |listen: &str| {
        let overrides = [
            ("credentials.listen", listen.to_owned()),
            ("aggregator.url", "https://numbers:7403".to_owned()),
            // Of this process: it says nothing of the others.
            ("rpc.tls.certificate_file", "/etc/tls/server.pem".to_owned()),
            ("rpc.tls.key_file", "/etc/tls/server.key".to_owned()),
        ];
        let config = Config::load(None, &overrides).unwrap();
        assert_eq!(config.worker.url.as_str(), "http://127.0.0.1:7402/");
        assert_eq!(config.aggregator.url.as_str(), "https://numbers:7403/");
        String::from(config.credentials.url)
    };
    assert_eq!(found("0.0.0.0:9401"), "http://127.0.0.1:9401/");
    assert_eq!(found("127.0.0.2:9401"), "http://127.0.0.2:9401/");
    assert_eq!(found("[::]:9401"), "http://[::1]:9401/");
    assert_eq!(found("[fe80::1%2]:9401"), "http://[fe80::1]:9401/", "a URL has no zone");
    assert_eq!(here("0.0.0.0:9401".parse().unwrap(), true).as_str(), "https://localhost:9401/");
    assert_eq!(here("10.0.0.7:9401".parse().unwrap(), true).as_str(), "https://10.0.0.7:9401/");
}

#[test]
fn a_certificate_needs_its_key() {
    let one = [("rpc.tls.certificate_file", "/etc/tls/server.pem".to_owned())];
    let faults = Config::load(None, &one).unwrap_err();
    assert_eq!(faults.0[0].key, "rpc.tls.key_file");
    let both = [one[0].clone(), ("rpc.tls.key_file", "/etc/tls/server.key".to_owned())];
    let (certificate, _) = Config::load(None, &both).unwrap().rpc.tls.server.unwrap();
    assert_eq!(certificate, Path::new("/etc/tls/server.pem"));
}

#[test]
fn a_file_overrides_and_a_secret_may_stand_in_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("token");
    std::fs::write(&secret, "0123456789abcdef\n").unwrap();
    let file = folder.path().join("tidemark.toml");
    std::fs::write(&file, format!("[rpc]\ntoken_file = {secret:?}\n[worker]\nconcurrency = 3\n")).unwrap();
    let config = Config::load(Some(&file), &[]).unwrap();
    assert_eq!(config.rpc_token.read().unwrap().expose_secret(), "0123456789abcdef");
    assert_eq!(config.worker.concurrency, 3);
    let missing = Config::load(Some(&folder.path().join("none.toml")), &[]).unwrap_err();
    assert!(missing.to_string().contains("none.toml"));
}

#[test]
fn a_mail_server_and_a_console_are_optional_and_their_passwords_not_shown() {
    let defaults = Config::load(None, &[]).unwrap();
    assert!(defaults.console.public_url.is_none() && defaults.mail.smtp_url.is_none());
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("smtp");
    std::fs::write(&secret, "smtps://user:canary@mail.example.com\n").unwrap();
    let mut overrides = vec![
        ("mail.smtp_url_file", secret.display().to_string()),
        ("console.public_url", "https://app.example.com/tidemark".to_owned()),
        ("console.return_urls", "https://a.example.com/x, https://b.example.com".to_owned()),
    ];
    let config = Config::load(None, &overrides).unwrap();
    assert_eq!(config.console.return_urls.len(), 2);
    assert_eq!(
        config.mail.smtp_url.as_ref().unwrap().read().unwrap().expose_secret(),
        "smtps://user:canary@mail.example.com"
    );
    assert!(!format!("{config:?}").contains("canary"));
    overrides[0] = ("mail.smtp_url", "imap://user:canary@mail.example.com".to_owned());
    overrides[2].1 = "b.example.com".to_owned();
    let faults = Config::load(None, &overrides).unwrap_err();
    assert_eq!(faults.0.len(), 2, "{faults}");
    assert!(!faults.to_string().contains("canary"), "{faults}");
}

#[test]
fn a_list_is_separated_by_commas() {
    let own = format!("org_{}=[::1]", "0".repeat(26));
    let hosts = ("webhooks.trusted_hosts", format!(" receiver.internal, 10.0.0.7 ,{own}"));
    let config = Config::load(None, &[hosts]).unwrap();
    let trusted = &config.events.trusted_webhook_hosts;
    assert_eq!(
        trusted.iter().map(|trusted| trusted.host.as_str()).collect::<Vec<_>>(),
        ["receiver.internal", "10.0.0.7", "[::1]"]
    );
    let organizations = trusted.iter().map(|trusted| trusted.organization.is_some());
    assert_eq!(organizations.collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(Config::load(None, &[]).unwrap().events.trusted_webhook_hosts, []);
    for bad in ["acme=receiver.internal", "=receiver.internal", "org_1=x", &own[..31]] {
        let faults = Config::load(None, &[("webhooks.trusted_hosts", bad.to_owned())]).unwrap_err();
        assert!(faults.to_string().contains("webhooks.trusted_hosts"), "{bad}: {faults}");
    }
}

#[test]
fn a_server_is_reached_as_its_section_says() {
    let overrides = [
        ("bus.url", "amqps://tidemark@broker.example.com/%2f".to_owned()),
        ("bus.password", "hunter2".to_owned()),
        ("bus.ca_file", "/etc/tls/broker-ca.pem".to_owned()),
        ("leases.url", "redis://cache.example.com".to_owned()),
        ("leases.allow_plaintext", "true".to_owned()),
    ];
    let config = Config::load(None, &overrides).unwrap();
    let bus = &config.bus.server;
    assert_eq!((bus.section, bus.allow_plaintext), ("bus", false));
    assert_eq!(bus.tls.ca.as_deref(), Some(Path::new("/etc/tls/broker-ca.pem")));
    assert!(config.leases.server.read().unwrap().tls.is_none());
    assert!(!format!("{config:?}").contains("hunter2"));
    let one = [("leases.client_certificate_file", "/etc/tls/client.pem".to_owned())];
    assert_eq!(Config::load(None, &one).unwrap_err().0[0].key, "leases.client_key_file");
}
