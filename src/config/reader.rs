//! Reads every key from every source, weakest first, and keeps count of what is wrong.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use toml::de::DeTable;
use zeroize::Zeroizing;

use super::env::{CONFIG_VARIABLE, PASSWORD_VARIABLE, Texts, variable};
use super::file::{self, Document};
use super::keys::{Draft, Visitor, paths, visit};
use super::kind::{Kind, Raw, Wrong};
use super::mistake::{Mistake, Mistakes, Origin, Origins, one_line};
use super::resolve::Resolving;
use super::sources::Sources;
use super::users::UserContext;
use super::{Config, summary, users};
use crate::session::AuthMode;
use crate::tls::subject::CertificateUser;

/// A configuration without mistakes.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings. With [`BackendUse::Embedded`](super::BackendUse::Embedded) their server is the default and their
    /// credentials are empty; both are to be replaced.
    pub config: Config,
    /// What an operator should know, to be logged once logs are set up. No secrets.
    pub warnings: Vec<String>,
    /// What it comes to, in a few indented lines for people. No secrets.
    pub summary: String,
}

/// Reads the configuration.
///
/// # Errors
/// All mistakes of all sources.
pub fn load(sources: &Sources<'_>) -> Result<Loaded, Mistakes> {
    let mut mistakes = Vec::new();
    let named = variable(sources.environment, CONFIG_VARIABLE, &mut mistakes);
    let path = sources.file.clone().or(named.map(PathBuf::from));
    let text = file_text(path.as_deref(), &mut mistakes);
    let path = path.unwrap_or_default();
    let table = file_table(&path, &text, &mut mistakes);
    let file_is_readable = mistakes.is_empty();
    let mut reading = Reading {
        document: Document::new(&path, &text, &table, &paths(), &mut mistakes),
        variables: Texts::of_variables(sources.environment, &mut mistakes),
        flags: Texts::of_flags(&sources.flags),
        origins: Origins::default(),
        broken: BTreeSet::new(),
        mistakes,
    };
    let mut draft = Draft::default();
    visit(&mut draft, &mut reading);
    let mut warnings = Vec::new();
    // What users may say depends on it; one that is wrong has been told.
    let mode = match reading.broken.contains("auth.mode") {
        true => AuthMode::Local,
        // What is said of the server's own users is no mistake with narrows' own credentials either.
        false => draft.config.auth.choice.mode(false),
    };
    draft.config.auth.users = users::read(
        &reading.document,
        UserContext {
            mode,
            has_certificates: draft.config.runtime.client_tls_settings.client_user
                != CertificateUser::None,
            scripts: draft.config.commands.scripts,
        },
        &mut reading.mistakes,
        &mut warnings,
    );
    let password = variable(
        sources.environment,
        PASSWORD_VARIABLE,
        &mut reading.mistakes,
    )
    .map(SecretString::from);
    // Without the file's values, what contradicts what would be guesswork.
    if file_is_readable {
        let mut resolving = Resolving {
            draft: &mut draft,
            origins: &reading.origins,
            broken: &reading.broken,
            mistakes: &mut reading.mistakes,
            warnings: &mut warnings,
        };
        resolving.run(sources.backend, password);
    }
    Mistakes::none_in(reading.mistakes)?;
    Ok(Loaded {
        summary: summary::of(&mut draft, &reading.origins),
        config: draft.config,
        warnings: warnings.iter().map(|text| one_line(text)).collect(),
    })
}

fn file_text(path: Option<&Path>, mistakes: &mut Vec<Mistake>) -> Zeroizing<String> {
    let text = path.map(file::read).transpose();
    let text = text.unwrap_or_else(|mistake| {
        mistakes.push(mistake);
        None
    });
    text.unwrap_or_default()
}

fn file_table<'a>(path: &Path, text: &'a str, mistakes: &mut Vec<Mistake>) -> DeTable<'a> {
    file::parse(path, text).unwrap_or_else(|errors| {
        mistakes.extend(errors);
        DeTable::new()
    })
}

/// The visitor that fills the settings.
struct Reading<'a> {
    document: Document<'a>,
    variables: Texts,
    flags: Texts,
    origins: Origins,
    broken: BTreeSet<&'static str>,
    mistakes: Vec<Mistake>,
}

impl Visitor for Reading<'_> {
    fn key<K: Kind>(&mut self, path: &'static str, value: &mut K::Value, kind: &K) {
        let mut results = Vec::new();
        if let Some((raw, origin)) = self.document.value(path) {
            results.push((kind.read(Raw::Toml(raw)), origin));
        }
        for texts in [&self.variables, &self.flags] {
            if let Some((raw, origin)) = texts.value(path) {
                results.push((kind.read(Raw::Text(raw)), origin));
            }
        }
        for (result, origin) in results {
            match result {
                Ok(read) => {
                    *value = read;
                    self.origins.set(path, origin);
                }
                Err(wrongs) => {
                    self.broken.insert(path);
                    for wrong in wrongs {
                        self.wrong(path, &wrong, &origin, kind);
                    }
                }
            }
        }
    }
}

impl Reading<'_> {
    fn wrong<K: Kind>(&mut self, path: &str, wrong: &Wrong, origin: &Origin, kind: &K) {
        let Wrong { text, element } = wrong;
        let (at, expected) = match element {
            Some((at, expected)) => (*at, expected.clone()),
            None => (None, kind.expected()),
        };
        let origin = at.map_or_else(|| origin.clone(), |offset| self.document.at(offset));
        let text = format!("{text}; allowed: {expected}");
        self.mistakes.push(Mistake::about(origin, path, text));
    }
}
