//! Which servers the tests run with: one of the system, and others in versions that are pinned, which
//! `scripts/test-servers` prepares. A test says which it is for; one that is missing fails it.

use std::path::{Path, PathBuf};

/// Servers in the place of those that tests run with: names of [`Flavor::name`] with commas between
/// them, or `all`.
const CHOSEN: &str = "NARROWS_SERVERS";

/// Where `scripts/test-servers` has put them; else it is looked for in the target folder.
const FOLDER: &str = "TEST_SERVERS";

/// A server in one version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flavor {
    /// The system's own `redis-server`: 7.0 on Debian 12. It has TLS.
    Redis,
    /// With the modules of Redis Stack: Search, JSON, Bloom and TimeSeries.
    Redis74,
    Redis82,
    Redis810,
    /// The system's own `valkey-server`: 8.0 of Debian's backports. It has TLS, and is for nothing else:
    /// not every system has one.
    Valkey,
    Valkey81,
    Valkey91,
}

impl Flavor {
    /// What `make test-servers` runs with.
    pub const ALL: &'static [Self] = &[
        Self::Redis,
        Self::Redis74,
        Self::Redis82,
        Self::Redis810,
        Self::Valkey81,
        Self::Valkey91,
    ];

    /// The oldest and the newest of both families, for whatever is about what servers say and do.
    pub fn matrix() -> Vec<Self> {
        Self::chosen_or(&[Self::Redis, Self::Redis82, Self::Valkey81, Self::Valkey91])
    }

    /// The oldest and the newest of all, for what is narrows' own doing and hardly differs.
    pub fn pair() -> Vec<Self> {
        Self::chosen_or(&[Self::Redis, Self::Valkey91])
    }

    /// Those that the developer has asked for, else `usual`.
    pub fn chosen_or(usual: &[Self]) -> Vec<Self> {
        let text = std::env::var(CHOSEN).unwrap_or_default();
        match text.as_str() {
            "" => usual.to_vec(),
            "all" => Self::ALL.to_vec(),
            names => names.split(',').map(Self::named).collect(),
        }
    }

    #[track_caller]
    pub fn named(name: &str) -> Self {
        let mut known = Self::ALL.iter().copied().chain([Self::Valkey]);
        let found = known.find(|flavor| flavor.name() == name);
        found.unwrap_or_else(|| panic!("there is no server {name:?}"))
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Redis74 => "redis-7.4",
            Self::Redis82 => "redis-8.2",
            Self::Redis810 => "redis-8.10",
            Self::Valkey => "valkey",
            Self::Valkey81 => "valkey-8.1",
            Self::Valkey91 => "valkey-9.1",
        }
    }

    pub fn is_valkey(self) -> bool {
        matches!(self, Self::Valkey | Self::Valkey81 | Self::Valkey91)
    }

    /// Whether its program was built with TLS.
    pub fn has_tls(self) -> bool {
        matches!(self, Self::Redis | Self::Valkey)
    }

    /// The program that serves.
    #[track_caller]
    pub fn program(self) -> PathBuf {
        let program = match self.is_valkey() {
            true => "valkey-server",
            false => "redis-server",
        };
        if matches!(self, Self::Redis | Self::Valkey) {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
            return places.find(|place| place.is_file()).unwrap_or_else(|| {
                panic!(
                    "{program} is missing: install it (Debian, Ubuntu: apt-get install {program})"
                )
            });
        }
        let place = folder().join(self.name()).join(program);
        assert!(
            place.is_file(),
            "{} is missing: run scripts/test-servers {}, which says why where it cannot be had",
            place.display(),
            match self {
                Self::Redis74 | Self::Redis810 => "all",
                _ => "tested",
            }
        );
        place
    }
}

fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return folder.into();
    }
    // A package of this repository may lie deeper in it.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut places = here.ancestors().map(|folder| folder.join("target/servers"));
    places
        .find(|place| place.is_dir())
        .unwrap_or_else(|| here.join("target/servers"))
}
