//! What every test here needs: a directory with files, an environment, flags, to be loaded.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use narrows::config::{BackendUse, Config, Loaded, Mistakes, Sources, load};
use tempfile::TempDir;

/// A file, an environment and flags, to be loaded together.
pub(crate) struct Setup {
    pub(crate) dir: TempDir,
    pub(crate) file: Option<PathBuf>,
    pub(crate) variables: BTreeMap<String, OsString>,
    pub(crate) flags: Vec<(&'static str, String)>,
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            file: None,
            variables: BTreeMap::new(),
            flags: Vec::new(),
        }
    }

    pub(crate) fn file(mut self, text: &str) -> Self {
        self.file = Some(self.write("narrows.toml", text, 0o600));
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn flag(mut self, name: &'static str, value: &str) -> Self {
        self.flags.push((name, value.to_owned()));
        self
    }

    pub(crate) fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    pub(crate) fn load(&self) -> Result<Loaded, Mistakes> {
        load(&Sources {
            file: self.file.clone(),
            environment: &|name| self.variables.get(name).cloned(),
            flags: self.flags.clone(),
            backend: BackendUse::Configured,
        })
    }

    pub(crate) fn config(&self) -> Config {
        self.load()
            .unwrap_or_else(|mistakes| panic!("{mistakes}"))
            .config
    }

    /// The mistakes, a line each, without the directory.
    pub(crate) fn mistakes(&self) -> Vec<String> {
        let mistakes = self.load().expect_err("no mistake").to_string();
        let dir = format!("{}/", self.dir.path().display());
        mistakes
            .lines()
            .map(|line| line.replace(&dir, ""))
            .collect()
    }
}

/// A setup with the file `text` and nothing else.
pub(crate) fn of_file(text: &str) -> Setup {
    Setup::new().file(text)
}
