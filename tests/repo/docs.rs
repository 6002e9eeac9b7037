//! The documents are held to the code: every command stands in docs/compatibility.md with the way
//! that the table gives it, every key in docs/configuration.md with its default, examples of
//! configuration are accepted, and links lead somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::support::{Narrows, PATIENCE};
use narrows::command::{CommandTable, Route};

fn text_of(path: impl AsRef<Path>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands under a heading, up to the next of the same rank.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (rank, _) = heading.split_once(' ').unwrap();
    let (_, rest) = text
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("no heading {heading}"));
    rest.split(&format!("\n{rank} ")).next().unwrap()
}

/// The cells of the rows of all tables.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().filter_map(|line| {
        let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
        Some(cells.split(" | ").map(str::trim).collect())
    })
}

/// The words in backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

fn way(route: Route) -> &'static str {
    match route {
        Route::Shared | Route::Unpins(_) => "shared",
        Route::Info => "rewritten",
        Route::Local(_) => "local",
        Route::Transaction(_) => "transaction",
        Route::Blocking => "waits",
        Route::Subscriber => "subscription",
        Route::Pinned(_) => "pinned",
        Route::OwnConnection => "own connection",
        Route::NotForwarded => "never",
        Route::Restricted => "restricted",
    }
}

#[test]
fn every_command_is_listed_with_the_way_it_takes() {
    let text = text_of("docs/compatibility.md");
    let mut listed = BTreeMap::new();
    let mut wrong = Vec::new();
    for row in rows(section(&text, "## Every command")) {
        for name in quoted(row[1]) {
            if listed.insert(name.to_owned(), row[0].to_owned()).is_some() {
                wrong.push(format!("{name} is listed twice"));
            }
        }
    }
    for spec in CommandTable::builtin().specs() {
        let name = spec.name.replace('|', " ").to_uppercase();
        match listed.remove(&name) {
            Some(said) if said == way(spec.route) => {}
            Some(said) => wrong.push(format!("{name} is `{}`, not `{said}`", way(spec.route))),
            None => wrong.push(format!("{name} is missing: it is `{}`", way(spec.route))),
        }
    }
    wrong.extend(
        listed
            .keys()
            .map(|name| format!("{name} has no row in the table")),
    );
    assert!(
        wrong.is_empty(),
        "docs/compatibility.md:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_way_that_is_listed_is_explained() {
    let text = text_of("docs/compatibility.md");
    let first = |heading| -> BTreeSet<String> {
        rows(section(&text, heading))
            .map(|row| row[0].to_owned())
            .filter(|way| way != "way" && way != "---")
            .collect()
    };
    assert_eq!(first("## The ways"), first("## Every command"));
}

#[test]
fn every_key_is_listed_with_its_default() {
    let text = text_of("docs/configuration.md");
    let listed: BTreeSet<String> = rows(section(&text, "## Every key"))
        .filter(|row| row[0].starts_with('`'))
        .map(|row| format!("{} {}", row[0], row[1]))
        .collect();
    let mut section = String::new();
    let mut keys = BTreeSet::new();
    for line in text_of("config/narrows.toml").lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if let Some((key, default)) = line.split_once(" = ")
            && !line.starts_with('#')
        {
            keys.insert(format!("`{section}.{key}` `{default}`"));
        }
    }
    let missing: Vec<_> = keys.difference(&listed).collect();
    let stale: Vec<_> = listed.difference(&keys).collect();
    assert!(
        keys.len() > 50 && missing.is_empty() && stale.is_empty(),
        "docs/configuration.md: missing {missing:#?}, not so (any more) {stale:#?}"
    );
}

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents: Vec<PathBuf> = [root.to_owned(), root.join("docs")]
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .collect();
    documents.sort();
    documents
}

/// Blocks of a document that are TOML: indented, and begun by the head of a section.
fn examples(text: &str) -> Vec<String> {
    let mut examples: Vec<String> = Vec::new();
    let mut indent = None;
    for line in text.lines() {
        let code = line.trim_start();
        let by = line.len() - code.len();
        let is_head = by >= 4 && code.starts_with('[') && code.ends_with(']');
        match indent {
            // A blank line stands within.
            Some(open) if by >= open || code.is_empty() => {
                examples.last_mut().unwrap().push_str(&format!("{code}\n"));
            }
            _ if is_head => {
                examples.push(format!("{code}\n"));
                indent = Some(by);
            }
            _ => indent = None,
        }
    }
    examples
}

/// `example` with the files that it names in `folder`, where they are.
fn with_files(example: &str, folder: &Path) -> String {
    const NAMED: &str = "\"/etc/narrows/";
    let pair = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    for rest in example.split(NAMED).skip(1) {
        let file = folder.join(rest.split('"').next().unwrap());
        let text = match file.extension().and_then(|ending| ending.to_str()) {
            Some("pem") => pair.cert.pem(),
            Some("key") => pair.signing_key.serialize_pem(),
            _ => "a password\n".to_owned(),
        };
        std::fs::write(&file, text).unwrap();
    }
    example.replace(NAMED, &format!("\"{}/", folder.display()))
}

#[test]
fn examples_of_configuration_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let mut checked = 0;
    for document in documents() {
        for example in examples(&std::fs::read_to_string(&document).unwrap()) {
            let file = folder.path().join("narrows.toml");
            std::fs::write(&file, with_files(&example, folder.path())).unwrap();
            let mut check = Narrows::spawn(&["check", file.to_str().unwrap()]);
            let status = check.wait(PATIENCE);
            assert!(
                status.success(),
                "{}:\n{example}\n{}",
                document.display(),
                check.log()
            );
            checked += 1;
        }
    }
    assert!(checked > 1);
}

/// As the sites that show these documents make anchors of headings.
fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        let links = text.split("](").skip(1);
        for link in links.filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, place) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => document.clone(),
                file => document.parent().unwrap().join(file),
            };
            let headings = std::fs::read_to_string(&target).unwrap_or_default();
            let found = target.exists()
                && (place.is_empty()
                    || headings
                        .lines()
                        .filter(|line| line.starts_with('#'))
                        .any(|line| anchor(line.trim_start_matches('#').trim()) == place));
            if !found {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
