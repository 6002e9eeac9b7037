//! What packages ask of others: no version that is not tested. Every build and every test takes the
//! versions of `Cargo.lock`; who asks for less promises what nobody has tried, and it is seldom true.

use std::path::Path;

use toml::Table;

#[test]
fn no_version_is_asked_for_that_is_older_than_the_one_tested() {
    let lock = table("Cargo.lock");
    let locked: Vec<(&str, &str)> = lock["package"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (text(&package["name"]), release(text(&package["version"]))))
        .collect();
    let mut offences = Vec::new();
    for manifest in ["Cargo.toml", "benches/load/Cargo.toml"] {
        let package = table(manifest);
        for section in ["dependencies", "dev-dependencies"] {
            let Some(section) = package.get(section) else {
                continue;
            };
            for (name, asked) in section.as_table().unwrap() {
                let Some(asked) = asked.as_str().or_else(|| asked.get("version")?.as_str()) else {
                    continue;
                };
                let tested: Vec<&str> = locked
                    .iter()
                    .filter_map(|(of, version)| (of == name).then_some(*version))
                    .collect();
                if !tested.contains(&asked) {
                    offences.push(format!("{manifest}: {name} {asked}, tested: {tested:?}"));
                }
            }
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

fn table(file: &str) -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}

fn text(value: &toml::Value) -> &str {
    value.as_str().unwrap()
}

/// A version without what its author adds about its build.
fn release(version: &str) -> &str {
    version.split('+').next().unwrap()
}
