//! What fuzzing has kept, played again on every test run by the same functions, with no tool but
//! cargo. `fuzz/README.md` tells how the corpus grows.

#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::path::Path;

/// Plays every file of the corpus of `name`, in the order of their names.
fn play(name: &str) {
    let (_, run) = fuzz::TARGETS.into_iter().find(|(n, _)| *n == name).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        // Shown if it fails.
        println!("{}", file.display());
        run(&fs::read(&file).unwrap());
    }
}

#[test]
fn replies_to_command_are_learned_or_refused() {
    play("command_learn");
}

#[test]
fn configuration_files_are_read_or_refused_with_a_line() {
    play("config");
}

#[test]
fn configured_values_are_read_again_as_they_are_shown() {
    play("config_values");
}

#[test]
fn the_engine_keeps_its_promises_in_every_kept_course_of_events() {
    play("engine");
}

#[test]
fn headers_of_balancers_are_judged_the_same_however_many_bytes_are_here() {
    play("proxy_protocol");
}

#[test]
fn replies_are_the_same_however_they_are_cut() {
    play("reply");
}

#[test]
fn requests_are_the_same_however_they_are_cut() {
    play("request");
}

#[test]
fn every_target_has_its_corpus_and_its_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, fuzz::TARGETS.map(|(name, _)| name));
    let tests = include_str!("fuzz_corpus.rs");
    for name in names {
        assert!(tests.contains(&format!("play(\"{name}\")")), "{name}");
    }
}
