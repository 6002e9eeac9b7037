//! docs/clients.md beside what the libraries did: a row for each, with the version that ran, its jobs,
//! and how many connections the server counted. What a run has found is written beside its programs as
//! rows of that page.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use crate::libraries::{LIBRARIES, Language, prepared};

/// What one library did.
pub struct Row {
    pub library: String,
    pub language: Language,
    pub version: String,
    pub jobs: String,
    /// Connections of the server while the program held all of its own: direct at least so many,
    /// through narrows at most.
    pub direct: usize,
    pub through: usize,
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "| {} | {} | {} | {} | {} | {} |",
            self.language.name(),
            self.library,
            self.version,
            self.jobs,
            self.direct,
            self.through
        )
    }
}

const PAGE: &str = "docs/clients.md";

/// The rows of the page by their library, each with its cells.
fn page() -> BTreeMap<String, Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let text = std::fs::read_to_string(path).unwrap();
    let table = text
        .split("\n## Every library\n")
        .nth(1)
        .and_then(|rest| rest.split("\n## ").next())
        .unwrap_or_else(|| panic!("{PAGE} has no section `Every library`"));
    let rows = table.lines().filter_map(|line| {
        let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let cells: Vec<String> = cells.split(" | ").map(str::to_owned).collect();
        Some((cells[1].clone(), cells))
    });
    rows.filter(|(library, _)| library != "library" && library != "---")
        .collect()
}

/// The page says of each of these what has been found.
#[track_caller]
pub fn compare(rows: &[Row]) {
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort_by_key(|row| LIBRARIES.iter().position(|known| known.name == row.library));
    let found: Vec<String> = rows.iter().map(ToString::to_string).collect();
    std::fs::create_dir_all(prepared()).unwrap();
    std::fs::write(prepared().join("found.md"), found.join("\n") + "\n").unwrap();
    let page = page();
    let wrong: Vec<&String> = rows
        .iter()
        .zip(&found)
        .filter(|(row, _)| {
            !page
                .get(&row.library)
                .is_some_and(|cells| agrees(row, cells))
        })
        .map(|(_, found)| found)
        .collect();
    assert!(
        wrong.is_empty(),
        "{PAGE} says something else of\n{}",
        wrong
            .iter()
            .map(|row| row.as_str())
            .collect::<Vec<_>>()
            .join("\n")
    );
}

fn agrees(row: &Row, cells: &[String]) -> bool {
    let [language, _, version, jobs, direct, through, _] = cells else {
        return false;
    };
    let same_version = *version == row.version;
    if !same_version && row.language.is_the_machines() && !is_the_pages_distribution() {
        println!(
            "{} {} of this distribution, the page has {version}",
            row.library, row.version
        );
    } else if !same_version {
        return false;
    }
    let [least, most] = [direct, through].map(|cell| cell.parse::<usize>().unwrap());
    *language == row.language.name()
        && *jobs == row.jobs
        && row.direct >= least
        && row.through <= most
}

/// Debian 12, whose packages the page has the versions of.
fn is_the_pages_distribution() -> bool {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    release.contains("VERSION_CODENAME=bookworm")
}

#[test]
fn every_library_with_tls_is_named() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let text = std::fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once("## With TLS\n").unwrap();
    let (_, list) = rest.split_once("the same:").unwrap();
    let (list, _) = list.split_once('.').unwrap();
    let mut named: Vec<&str> = list.split(',').map(str::trim).collect();
    let with_tls = LIBRARIES.iter().filter(|library| library.has_tls);
    let mut expected: Vec<&str> = with_tls.map(|library| library.name).collect();
    named.sort_unstable();
    expected.sort_unstable();
    assert_eq!(named, expected);
}

#[test]
fn every_library_has_its_row() {
    let mut page = page();
    for library in LIBRARIES {
        let cells = page
            .remove(library.name)
            .unwrap_or_else(|| panic!("{PAGE} has no row of {}", library.name));
        assert_eq!(cells.len(), 7, "{}", library.name);
        assert_eq!(cells[0], library.language.name());
    }
    assert!(
        page.is_empty(),
        "{PAGE} names what is not run: {:?}",
        page.keys()
    );
}
