//! Certificates that are replaced while narrows runs: by their files, as they change, and what is said of
//! those that cannot be used or expire soon.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::date_time_ymd;
use rustix::process::Signal;

use super::*;
use crate::metrics::{exposition::Exposition, http::get};
use crate::support::{Conn, PATIENCE, setup, wait_until};
use certificates::{Authority, expired};

/// Files as Kubernetes mounts them: each is a link through a link to a folder. That link is replaced, so
/// that all files change at once, and none is ever written.
struct Mounted {
    folder: tempfile::TempDir,
    versions: usize,
}

impl Mounted {
    fn new(authority: &str, own: &Identity) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["ca.crt", "tls.crt", "tls.key"] {
            let target = Path::new("..data").join(name);
            symlink(target, folder.path().join(name)).unwrap();
        }
        let mut mounted = Self {
            folder,
            versions: 0,
        };
        mounted.replace(authority, &own.certificate, &own.key);
        mounted
    }

    fn replace(&mut self, authority: &str, certificate: &str, key: &str) {
        let root = self.folder.path();
        self.versions += 1;
        let name = format!("..{}", self.versions);
        std::fs::create_dir(root.join(&name)).unwrap();
        for (file, text) in [
            ("ca.crt", authority),
            ("tls.crt", certificate),
            ("tls.key", key),
        ] {
            std::fs::write(root.join(&name).join(file), text).unwrap();
        }
        symlink(&name, root.join("..data_tmp")).unwrap();
        std::fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    }

    /// `[backend.tls]` with these files.
    fn settings(&self) -> String {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        format!(
            "[backend.tls]\nca_file = {:?}\ncert_file = {:?}\nkey_file = {:?}\n",
            path("ca.crt"),
            path("tls.crt"),
            path("tls.key")
        )
    }
}

/// Files are looked at often, and connections are replaced often.
const SOON: &str = "[tls]\nreload_interval = \"100ms\"\n[pool]\nmax_lifetime = \"50ms\"\n";

fn page(narrows: &Narrows) -> Exposition {
    Exposition::read(&get(&narrows.admin_address(), "/metrics").body)
}

fn failures(narrows: &Narrows) -> f64 {
    page(narrows).value("narrows_tls_reload_failures_total")
}

fn times_logged(narrows: &Narrows, words: &str) -> usize {
    narrows.log().matches(words).count()
}

#[track_caller]
fn expect_reloaded(narrows: &Narrows, times: usize) {
    wait_until("the new certificates", PATIENCE, || {
        times_logged(narrows, "certificates reloaded") == times
    });
}

/// narrows with a configuration file that stays, for reloads.
fn reloadable(server: &TlsServer, toml: &str) -> Narrows {
    let file = server.file("narrows.toml", toml);
    Narrows::start(&[
        "--config",
        file.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
        "--backend",
        &format!("rediss://127.0.0.1:{}", server.port),
    ])
}

/// All connections that carry clients have been replaced, while `work` goes on.
#[track_caller]
fn expect_new_connections(server: &TlsServer, mut work: impl FnMut()) {
    let mut direct = Conn::connect(&server.server.address());
    let mut ids = || -> Vec<u64> {
        let ids = setup::pipe_ids(&mut direct).into_iter();
        ids.map(|id| id.parse().unwrap()).collect()
    };
    let before = ids().into_iter().max().unwrap_or_default();
    wait_until("new connections", PATIENCE, || {
        work();
        let now = ids();
        !now.is_empty() && now.iter().all(|id| *id > before)
    });
}

impl TlsServer {
    /// It shows and trusts others from now on.
    fn renew(&self, identity: &Identity, authority: &str) {
        let (cert, key) = identity.write(self.folder.path(), "renewed");
        let ca = self.file("renewed-ca.pem", authority);
        let settings = [
            ("tls-cert-file", cert),
            ("tls-key-file", key),
            ("tls-ca-cert-file", ca),
        ];
        let mut command = vec!["CONFIG".to_owned(), "SET".to_owned()];
        for (name, path) in settings {
            command.extend([name.to_owned(), path.display().to_string()]);
        }
        Conn::connect(&self.server.address()).expect(&command, "+OK\r\n");
    }
}

/// From one authority to another, in the order in which that can be done: first all trust both.
#[test]
fn load_certificates_and_authorities_are_replaced_and_no_command_fails() {
    let (old, new) = (Authority::new(), Authority::new());
    let server_of = |authority: &Authority| authority.signs(&["127.0.0.1"], |_| {});
    let narrows_of = |authority: &Authority| authority.signs(&["narrows"], |_| {});
    let server = TlsServer::start(&server_of(&old), &["--tls-auth-clients", "yes"]);
    let (old_own, new_own) = (narrows_of(&old), narrows_of(&new));
    let mut mounted = Mounted::new(&old.pem, &old_own);
    let toml = format!("{}{SOON}", mounted.settings());
    let url = format!("rediss://127.0.0.1:{}", server.port);
    let narrows = setup::narrows(&url, &toml, &["--max-backend-connections", "4"]);
    let both = format!("{}{}", old.pem, new.pem);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|number| {
                let (mut client, is_over) = (narrows.connect(), &is_over);
                scope.spawn(move || {
                    let mut count = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        count += 1;
                        let key = format!("count:{number}");
                        client.expect(&["INCR", &key], format!(":{count}\r\n"));
                    }
                    count
                })
            })
            .collect();
        expect_new_connections(&server, || {});
        mounted.replace(&both, &old_own.certificate, &old_own.key);
        expect_reloaded(&narrows, 1);
        server.renew(&server_of(&new), &both);
        expect_new_connections(&server, || {});
        mounted.replace(&both, &new_own.certificate, &new_own.key);
        expect_reloaded(&narrows, 2);
        server.renew(&server_of(&new), &new.pem);
        expect_new_connections(&server, || {});
        mounted.replace(&new.pem, &new_own.certificate, &new_own.key);
        expect_reloaded(&narrows, 3);
        expect_new_connections(&server, || {});
        is_over.store(true, Ordering::Relaxed);
        for client in clients {
            assert!(client.join().unwrap() > 100);
        }
    });
    assert_eq!(failures(&narrows), 0.0);
}

#[test]
fn a_key_of_another_certificate_is_named_and_the_old_ones_stay_until_it_is_right() {
    let authority = Authority::new();
    let own = || authority.signs(&["narrows"], |_| {});
    let (first, second, third) = (own(), own(), own());
    let server = TlsServer::start(
        &authority.signs(&["127.0.0.1"], |_| {}),
        &["--tls-auth-clients", "yes"],
    );
    let mut mounted = Mounted::new(&authority.pem, &first);
    let toml = format!("{}{SOON}", mounted.settings());
    let url = format!("rediss://127.0.0.1:{}", server.port);
    let narrows = setup::narrows(&url, &toml, &[]);
    let mut client = narrows.connect();
    for (times, certificate) in [(1, &second), (2, &third)] {
        mounted.replace(&authority.pem, &certificate.certificate, &first.key);
        wait_until("the failure to be counted", PATIENCE, || {
            failures(&narrows) == f64::from(times)
        });
        expect_new_connections(&server, || {
            client.expect(&["SET", "k", "v"], "+OK\r\n");
        });
    }
    narrows.expect_logged(&[
        "certificates not reloaded",
        "backend.tls.key_file",
        "is not of backend.tls.cert_file",
    ]);
    mounted.replace(&authority.pem, &third.certificate, &third.key);
    expect_reloaded(&narrows, 1);
    // Each was said once, however often it was looked at.
    assert_eq!(times_logged(&narrows, "certificates not reloaded"), 2);
    assert_eq!(failures(&narrows), 2.0);
    client.expect(&["GET", "k"], "$1\r\nv\r\n");
}

#[test]
fn a_new_certificate_that_has_expired_is_refused_in_words_whoever_notices_it() {
    let authority = Authority::new();
    let own = || authority.signs(&["narrows"], |_| {});
    let server = TlsServer::start(&authority.signs(&["127.0.0.1"], |_| {}), &[]);
    let (late, next) = (expired(), own());
    let said = [
        "backend.tls.cert_file",
        "has expired, on Jan  1 00:00:00 2021",
    ];
    for interval in ["\"100ms\"", "0"] {
        let mut mounted = Mounted::new(&authority.pem, &own());
        let settings = mounted.settings();
        let toml = format!("{settings}[tls]\nreload_interval = {interval}\n");
        let mut narrows = reloadable(&server, &toml);
        mounted.replace(&authority.pem, &late.certificate, &late.key);
        if interval == "0" {
            narrows.signal(Signal::HUP);
            narrows.expect_logged(&[&["configuration not reloaded"], said.as_slice()].concat());
        } else {
            narrows.expect_logged(&[&["certificates not reloaded"], said.as_slice()].concat());
        }
        wait_until("it to be counted", PATIENCE, || failures(&narrows) == 1.0);
        mounted.replace(&authority.pem, &next.certificate, &next.key);
        if interval == "0" {
            narrows.signal(Signal::HUP);
            narrows.expect_logged(&["configuration reloaded", "backend.tls"]);
            assert_eq!(times_logged(&narrows, "certificates reloaded"), 0);
        } else {
            expect_reloaded(&narrows, 1);
        }
        narrows.connect().expect(&["SET", "k", "v"], "+OK\r\n");
        assert_eq!(failures(&narrows), 1.0);
    }
}

#[test]
fn what_expires_soon_is_said_and_shown_and_narrows_is_ready_all_the_same() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let hours = |count: u64| Duration::from_secs(count * 60 * 60);
    let end = now + hours(5 * 24 - 1);
    let authority = Authority::new();
    let soon = authority.signs(&["narrows"], |params| {
        params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(end.as_secs());
    });
    let server = TlsServer::start(&authority.signs(&["127.0.0.1"], |_| {}), &[]);
    for (own, words) in [
        (&soon, "a certificate expires in 4 days, on"),
        (&expired(), "a certificate has expired, on Jan  1"),
    ] {
        let mut mounted = Mounted::new(&authority.pem, own);
        let toml = format!("{}{SOON}", mounted.settings());
        let mut narrows = reloadable(&server, &toml);
        narrows.expect_logged(&["WARN", "backend.tls.cert_file", words]);
        let address = narrows.admin_address();
        let ready = || get(&address, "/readyz");
        wait_until("narrows to be ready", PATIENCE, || ready().status == 200);
        let body = ready().body;
        assert!(body.contains(words) && !body.contains("ca.crt"), "{body}");
        assert_eq!(times_logged(&narrows, words), 1);
        let series = |name: &str| {
            let path = mounted.folder.path().join(name);
            let labels = format!("use=\"backend\",file=\"{}\"", path.display());
            format!("narrows_tls_certificate_not_after_seconds{{{labels}}}")
        };
        let page = page(&narrows);
        let end_of_2020 = 1_609_459_200.0;
        let expected = match own.fingerprint == soon.fingerprint {
            true => end.as_secs() as f64,
            false => end_of_2020,
        };
        assert_eq!(page.value(&series("tls.crt")), expected);
        assert!(page.value(&series("ca.crt")) > expected);
        // A reload says it again.
        narrows.signal(Signal::HUP);
        narrows.expect_logged(&["configuration reloaded: nothing has changed"]);
        wait_until("it to be said again", PATIENCE, || {
            times_logged(&narrows, words) == 2
        });
        let renewed = authority.signs(&["narrows"], |_| {});
        mounted.replace(&authority.pem, &renewed.certificate, &renewed.key);
        expect_reloaded(&narrows, 1);
        assert!(!ready().body.contains("certificate"));
    }
}
