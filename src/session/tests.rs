//! Tables that tests hold decisions to, with one column for each state and one row for each thing that
//! may happen in it.
//!
//! ```text
//! // What stands in this table.
//! # a state
//! # a state <- another, in which all is the same that is not named here
//! What is decided
//!     a row | another | * (all that are not named)
//! ```

use std::collections::BTreeMap;

/// What stands in each row of one column.
type Column<'t> = BTreeMap<&'t str, &'t str>;

/// All values of an enum. One that is not named does not compile.
macro_rules! every {
    ($type:ident: $($variant:ident)*) => {{
        let all = [$($type::$variant),*];
        for one in all {
            match one {
                $($type::$variant)|* => {}
            }
        }
        all
    }};
}

pub(crate) use every;

/// Compares what was found, one column after the other, with the table.
#[track_caller]
pub(crate) fn compare(table: &str, rows: &[&str], found: Vec<(String, Vec<String>)>) {
    let mut columns = read(table, rows);
    let mut different = Vec::new();
    for (state, cells) in found {
        let mut column = columns.remove(&*state).unwrap_or_default();
        for (row, found) in rows.iter().zip(cells) {
            let cell = column.remove(row);
            if cell != Some(&found) {
                different.push(format!("{state} | {row} | {cell:?} | {found}"));
            }
        }
        assert!(column.is_empty(), "{state}: there are no rows {column:?}");
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    let left: Vec<_> = columns.keys().collect();
    assert!(left.is_empty(), "there are no states {left:?}");
}

fn read<'t>(table: &'t str, rows: &[&'t str]) -> BTreeMap<&'t str, Column<'t>> {
    let mut columns: BTreeMap<&str, Column<'_>> = BTreeMap::new();
    let (mut state, mut cell, mut named) = ("", "", Vec::new());
    for line in table.lines() {
        if let Some(title) = line.strip_prefix("# ") {
            let (name, base) = title.split_once(" <- ").unwrap_or((title, ""));
            let base = columns.get(base).cloned().unwrap_or_default();
            (state, named) = (name, Vec::new());
            let before = columns.insert(name, base);
            assert!(before.is_none(), "{name} stands there twice");
        } else if let Some(those) = line.strip_prefix("    ") {
            for row in those.split(" | ") {
                let column = columns.get_mut(state).expect("a state comes first");
                assert!(!named.contains(&row), "{state}: {row} stands there twice");
                named.push(row);
                if row == "*" {
                    for row in rows {
                        column.entry(row).or_insert(cell);
                    }
                } else {
                    column.insert(row, cell);
                }
            }
        } else if !line.is_empty() && !line.starts_with("//") {
            cell = line;
        }
    }
    columns
}

#[test]
fn a_table_is_read_as_it_is_written() {
    let table = "// x\n# a\nYes\n    1 | 2\nNo\n    *\n\n# b <- a\nNo\n    1\n";
    let cells = |one: &str, two: &str, three: &str| [one, two, three].map(str::to_owned).to_vec();
    let found = |b| {
        let a = cells("Yes", "Yes", "No");
        vec![("a".to_owned(), a), ("b".to_owned(), b)]
    };
    compare(table, &["1", "2", "3"], found(cells("No", "Yes", "No")));
    let other = || compare(table, &["1", "2", "3"], found(cells("No", "No", "No")));
    let told = std::panic::catch_unwind(other).expect_err("they differ");
    let told = told.downcast_ref::<String>().expect("it is text");
    assert_eq!(told, "b | 2 | Some(\"Yes\") | No");
}
