//! Values as the environment and flags give them, a line `KEY=value` each, and the URL of the
//! server. Nothing panics; a mistake names its variable or flag; a URL that is accepted reads the
//! same again as it is shown; and no password is shown anywhere.

use std::collections::BTreeMap;
use std::ffi::OsString;

use narrows::config::url::BackendUrl;
use narrows::config::{BINDINGS, BackendUse, Origin, PASSWORD_VARIABLE, Sources, load};
use narrows::runtime::settings::BackendCredentials;

/// The target.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut variables = BTreeMap::new();
    let mut flags = Vec::new();
    for line in text.lines() {
        let (name, value) = line.split_once('=').unwrap_or(("", line));
        check_url(value);
        let binding = BINDINGS
            .iter()
            .find(|binding| [binding.variable, binding.flag].contains(&name));
        match binding {
            // Any file of this machine could be opened.
            Some(binding) if binding.key == "backend.password_file" => {}
            Some(binding) if binding.flag == name => flags.push((binding.flag, value.to_owned())),
            _ => {
                variables.insert(name.to_owned(), OsString::from(value));
            }
        }
    }
    variables.remove("NARROWS_CONFIG");
    let loaded = load(&Sources {
        file: None,
        environment: &|name| variables.get(name).cloned(),
        flags,
        backend: BackendUse::Configured,
    });
    match loaded {
        Ok(loaded) => {
            let credentials = &loaded.config.runtime.credentials;
            let told = [
                loaded.summary,
                loaded.warnings.join("\n"),
                format!("{:?}", loaded.config),
            ];
            check_secret(credentials.exposed_password(), text, &told);
        }
        Err(mistakes) => {
            for mistake in mistakes.list() {
                let named = matches!(mistake.origin, Origin::Variable(_) | Origin::Flag(_));
                assert!(named, "from nowhere: {mistake}");
            }
            let variable = variables.get(PASSWORD_VARIABLE).and_then(|v| v.to_str());
            check_secret(variable, text, &[mistakes.to_string()]);
        }
    }
}

fn check_url(text: &str) {
    let Ok(url) = text.parse::<BackendUrl>() else {
        return;
    };
    let told = [url.to_string(), format!("{url:?}")];
    check_secret(url.credentials.exposed_password(), text, &told);
    let again: BackendUrl = match told[0].parse() {
        Ok(again) => again,
        Err(error) => panic!("{error}: {}", told[0]),
    };
    assert_eq!(secretless(again), secretless(url), "shown as {}", told[0]);
}

/// A password is shown as `(set)`.
fn secretless(mut url: BackendUrl) -> BackendUrl {
    let BackendCredentials { password, .. } = &mut url.credentials;
    *password = password.take().map(|_| String::new().into());
    url
}

/// A password with the mark of the seeds that stands in the input only once is part of nothing else
/// that is told.
fn check_secret(password: Option<&str>, input: &str, told: &[String]) {
    let Some(password) = password.filter(|text| text.contains("s3cret")) else {
        return;
    };
    if input.matches(password).count() == 1 {
        for text in told {
            assert!(!text.contains(password), "a password is shown: {text}");
        }
    }
}
