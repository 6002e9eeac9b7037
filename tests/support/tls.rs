//! TLS on both sides of narrows, for tests that know nothing of it: servers that can speak it do, narrows
//! is told to, and the tests' clients reach it over a [`super::bridge`]. `NARROWS_TESTS_TLS=1` has all tests run so,
//! `NARROWS_TESTS_TLS=server` with TLS towards the server alone, and [`on_both_sides`] one of them.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::Flavor;
use super::certificates::{Identity, good};

/// See the module.
const VARIABLE: &str = "NARROWS_TESTS_TLS";

thread_local! {
    static HERE: Cell<bool> = const { Cell::new(false) };
}

/// Presented by servers and by narrows: made anew for each run, for this machine.
static IDENTITY: LazyLock<Identity> = LazyLock::new(good);

/// Where there is TLS for what this thread starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sides {
    None,
    Server,
    Both,
}

/// Runs `test`: what it starts on this thread speaks TLS on both sides of narrows.
pub fn on_both_sides<T>(test: impl FnOnce() -> T) -> T {
    HERE.set(true);
    let result = test();
    HERE.set(false);
    result
}

pub fn sides() -> Sides {
    let everywhere = std::env::var(VARIABLE).unwrap_or_default();
    match everywhere.as_str() {
        _ if HERE.get() => Sides::Both,
        "" | "0" => Sides::None,
        "1" => Sides::Both,
        "server" => Sides::Server,
        other => panic!("{VARIABLE} is {other:?}, not 0, 1 or server"),
    }
}

/// What makes a server speak TLS on `port`, as its options, with its files in `folder`.
pub fn options_of_server(folder: &Path, port: u16) -> Vec<String> {
    let files = Files::write(folder);
    let options = [
        ("--tls-port", port.to_string()),
        ("--tls-cert-file", path(&files.certificate)),
        ("--tls-key-file", path(&files.key)),
        ("--tls-ca-cert-file", path(&files.authority)),
        ("--tls-auth-clients", "no".to_owned()),
    ];
    let both = options.map(|(name, value)| [name.to_owned(), value]);
    both.into_iter().flatten().collect()
}

/// Whether what this thread starts of this flavor speaks TLS too.
pub fn is_for(flavor: Flavor) -> bool {
    sides() != Sides::None && flavor.has_tls()
}

/// Who is presented, and who has signed that: three files.
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub authority: PathBuf,
}

impl Files {
    pub fn write(folder: &Path) -> Self {
        let (certificate, key) = IDENTITY.write(folder, "tls");
        let authority = authority_in(folder);
        std::fs::write(&authority, &IDENTITY.authority).unwrap();
        Self {
            certificate,
            key,
            authority,
        }
    }

    /// Makes narrows listen with TLS that was to listen without: on a free port, and a bridge listens where it
    /// was told to. `None` where no flag says where.
    pub fn listening(&self, arguments: &[&str]) -> Option<Listening> {
        let mut arguments: Vec<String> = arguments.iter().map(|text| text.to_string()).collect();
        let behind = |flag: &str| Some(1 + arguments.iter().position(|text| text == flag)?);
        let (listen, config) = (behind("--listen")?, behind("--config"));
        let address = arguments[listen].parse().ok()?;
        arguments[listen] = "tls:127.0.0.1:0".to_owned();
        let toml = config.map(|at| std::fs::read_to_string(&arguments[at]).unwrap());
        let mut toml = toml.unwrap_or_default();
        // One that has it says the same of these files.
        if !toml.contains("[tls]") {
            toml += &self.section();
        }
        let file = path(&self.certificate.with_file_name("narrows.toml"));
        std::fs::write(&file, toml).unwrap();
        match config {
            Some(at) => arguments[at] = file,
            None => arguments.extend(["--config".to_owned(), file]),
        }
        Some(Listening { arguments, address })
    }

    /// The lines of narrows' configuration.
    pub fn section(&self) -> String {
        let [certificate, key] = [&self.certificate, &self.key].map(|file| path(file));
        format!("\n[tls]\ncert_files = [{certificate:?}]\nkey_files = [{key:?}]\n")
    }
}

/// What narrows is started with, and where the bridge to it listens.
pub struct Listening {
    pub arguments: Vec<String>,
    pub address: SocketAddr,
}

/// The file that [`Files::write`] makes of [`authority`].
pub fn authority_in(folder: &Path) -> PathBuf {
    folder.join("tls-authority.pem")
}

/// What signs for servers and narrows, in PEM form.
pub fn authority() -> &'static str {
    &IDENTITY.authority
}

fn path(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
