//! URL forms, and that no password ever shows.

use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> BackendUrl {
    text.parse().unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn refusal(text: &str) -> UrlError {
    text.parse::<BackendUrl>().expect_err(text)
}

fn login(url: &BackendUrl) -> (Option<&str>, Option<&str>) {
    let credentials = &url.credentials;
    (credentials.user.as_deref(), credentials.exposed_password())
}

#[test]
fn hosts_ports_and_databases_are_read() {
    for (text, shown) in [
        ("redis://cache", "redis://cache:6379/0"),
        ("redis://cache/", "redis://cache:6379/0"),
        ("redis://cache:/2", "redis://cache:6379/2"),
        ("redis://10.0.0.1:6400/15", "redis://10.0.0.1:6400/15"),
        ("REDIS://h?db=7", "redis://h:6379/7"),
        ("valkey://h", "redis://h:6379/0"),
        ("redis://[::1]", "redis://[::1]:6379/0"),
        (
            "redis://[fe80::1%25eth0]:7000/1",
            "redis://[fe80::1%25eth0]:7000/1",
        ),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("unix:///run/redis.sock?db=3", "unix:///run/redis.sock?db=3"),
        (
            "redis+unix:///run/my%20redis.sock",
            "unix:///run/my%20redis.sock",
        ),
    ] {
        assert_eq!(parsed(text).to_string(), shown, "{text}");
    }
}

#[test]
fn credentials_are_decoded_and_empty_ones_are_none() {
    for (text, user, password) in [
        ("redis://u:p@h", Some("u"), Some("p")),
        ("redis://:p@h", None, Some("p")),
        ("redis://u@h", Some("u"), None),
        ("redis://:@h", None, None),
        (
            "redis://a%40b:%2F%3f%23%25%3A+@h/1",
            Some("a@b"),
            Some("/?#%:+"),
        ),
        ("redis://u:p:q@r@h", Some("u"), Some("p:q@r")),
        ("redis://u:%C3%BC@h", Some("u"), Some("ü")),
        ("redis://h?user=u&password=p", Some("u"), Some("p")),
        ("unix://u:p@/run/r.sock", Some("u"), Some("p")),
        (
            "redis+unix:///r.sock?db=1&user=u&pass=p",
            Some("u"),
            Some("p"),
        ),
        ("unix:///r.sock?password=a@b", None, Some("a@b")),
    ] {
        assert_eq!(login(&parsed(text)), (user, password), "{text}");
    }
}

#[test]
fn tls_is_asked_for_by_the_scheme() {
    for text in [
        "rediss://cache:6380",
        "valkeys://cache:6380",
        "rediss://[::1]",
    ] {
        let url = parsed(text);
        assert!(url.tls, "{text}");
        assert!(url.to_string().starts_with("rediss://"), "{url}");
        assert_eq!(parsed(&url.to_string()), url);
    }
    assert!(!parsed("redis://cache:6380").tls);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (text, why) in [
        ("", UrlError::Scheme),
        ("cache:6379", UrlError::Scheme),
        ("user:secret@cache:6379", UrlError::Scheme),
        ("http://cache", UrlError::Scheme),
        ("redis:cache", UrlError::Scheme),
        ("rediss://", UrlError::Host),
        ("redis://", UrlError::Host),
        ("redis://:6379", UrlError::Host),
        ("redis://a b", UrlError::Host),
        ("redis://[::1", UrlError::Host),
        ("redis://[1.2.3.4]", UrlError::Host),
        ("redis://[::1]6379", UrlError::Port),
        ("redis://::1", UrlError::Host),
        ("redis://h:0", UrlError::Port),
        ("redis://h:65536", UrlError::Port),
        ("redis://h:+1", UrlError::Port),
        ("redis://h/x", UrlError::Database),
        ("redis://h/-1", UrlError::Database),
        ("redis://h/2147483648", UrlError::Database),
        ("redis://h/1/2", UrlError::Database),
        ("redis://:a/b@h", UrlError::Unencoded),
        ("redis://u:12/3@h", UrlError::Unencoded),
        ("redis://u:12?secret=x@h", UrlError::Unencoded),
        ("redis://u:a#b@h", UrlError::Unencoded),
        ("redis://u:%zz@h", UrlError::Percent),
        ("redis://u:%f@h", UrlError::Percent),
        ("redis://u:%ff@h", UrlError::Percent),
        ("redis://h?timeout=5", UrlError::Parameter),
        ("redis://h?db", UrlError::Parameter),
        ("redis://h/1?db=1", UrlError::Twice),
        ("redis://u:p@h?user=v", UrlError::Twice),
        ("unix://run/r.sock", UrlError::Path),
        ("unix://", UrlError::Path),
    ] {
        assert_eq!(refusal(text), why, "{text}");
    }
}

#[test]
fn the_default_is_the_default_of_the_runtime() {
    assert_eq!(BackendUrl::default(), parsed("redis://127.0.0.1:6379/0"));
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

proptest! {
    #[test]
    fn a_url_reads_the_same_again_as_it_is_shown(user in "\\PC{1,20}", path in "/\\PC{0,20}") {
        let user = encoded(&user);
        for text in [
            format!("redis://{user}@[fe80::1%25eth0]:7/2"),
            format!("unix://{}?db=3&user={user}", encoded(&path).replacen("%2f", "/", 1)),
        ] {
            let url = parsed(&text);
            prop_assert_eq!(parsed(&url.to_string()), url);
        }
    }

    #[test]
    fn any_login_survives_percent_encoding(user in "\\PC{1,20}", password in "\\PC{1,20}") {
        let text = format!("redis://{}:{}@h:1/2", encoded(&user), encoded(&password));
        let url = parsed(&text);
        prop_assert_eq!(login(&url), (Some(user.as_str()), Some(password.as_str())));
    }

    #[test]
    fn no_password_shows_however_the_url_is_broken(
        before in "[a-z:/?#@%\\[\\]]{0,8}",
        between in "[:/?#@%=&]{1,3}",
        after in "[a-z0-9:/?#@%\\[\\]]{0,12}",
    ) {
        let text = format!("redis://{before}:{between}HUNTER2{after}@host");
        let shown = match text.parse::<BackendUrl>() {
            Ok(url) => format!("{url} {url:?}"),
            Err(why) => format!("{why} {why:?}"),
        };
        prop_assert!(!shown.contains("HUNTER2"), "{} shows as {}", text, shown);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(redis://|unix://)?\\PC{0,40}") {
        let _ = text.parse::<BackendUrl>();
    }
}
