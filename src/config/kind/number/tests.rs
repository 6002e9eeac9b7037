//! How numbers, sizes and durations are written, and what is said of others.

use proptest::prelude::*;
use toml::de::DeTable;

use super::*;
use crate::config::kind::{mode, ratio};

/// Reads `value` as TOML, then as `kind`.
fn read<K: Kind>(kind: &K, value: &str) -> Result<K::Value, String> {
    let text = format!("key = {value}");
    let table = DeTable::parse(&text).unwrap();
    let (_, value) = table.get_ref().iter().next().unwrap();
    kind.read(Raw::Toml(value.get_ref()))
        .map_err(|wrongs| wrongs.into_iter().map(|wrong| wrong.text).collect())
}

#[test]
fn counts_are_bare_numbers_in_their_range() {
    let kind = count::<u32>(2, 100).or_zero("none");
    assert_eq!(read(&kind, "16"), Ok(16));
    assert_eq!(read(&kind, "0x10"), Ok(16));
    assert_eq!(read(&kind, "1_0"), Ok(10));
    assert_eq!(read(&kind, "0"), Ok(0));
    for (value, why) in [
        ("1", "1 is out of range"),
        ("101", "101 is out of range"),
        ("-3", "-3 is out of range"),
        ("99999999999999999999", "out of range"),
        ("1.5", "1.5 is not a whole number"),
        ("\"many\"", "\"many\" is not a whole number"),
        ("true", "true or false is not a whole number"),
    ] {
        assert!(read(&kind, value).unwrap_err().contains(why), "{value}");
    }
    assert_eq!(kind.allowed(), "2 to 100, or 0: none");
}

#[test]
fn a_count_too_large_for_its_type_is_out_of_range() {
    let kind = count::<u32>(0, u64::MAX);
    assert!(
        read(&kind, "4294967296")
            .unwrap_err()
            .contains("out of range")
    );
}

#[test]
fn sizes_have_binary_units_or_are_bytes() {
    let kind = bytes::<u64>(1, 1 << 40);
    for (value, size) in [
        ("4096", 4096),
        ("\"4096\"", 4096),
        ("\"1B\"", 1),
        ("\"64KiB\"", 64 << 10),
        ("\"3GiB\"", 3 << 30),
        ("\"1TiB\"", 1 << 40),
    ] {
        assert_eq!(read(&kind, value), Ok(size), "{value}");
    }
    for value in [
        "\"1MB\"",
        "\"1mb\"",
        "\"MiB\"",
        "\"1.5MiB\"",
        "\"1 MiB\"",
        "[]",
    ] {
        assert!(
            read(&kind, value).unwrap_err().contains("is not a size"),
            "{value}"
        );
    }
    assert!(read(&kind, "\"99999999TiB\"").is_err());
}

#[test]
fn durations_need_a_unit() {
    let kind = duration(1, 3_600_000).or_zero("never");
    for (value, ms) in [
        ("\"20ms\"", 20),
        ("\"3s\"", 3000),
        ("\"60m\"", 3_600_000),
        ("0", 0),
    ] {
        assert_eq!(read(&kind, value), Ok(Duration::from_millis(ms)), "{value}");
    }
    assert!(read(&kind, "5").unwrap_err().contains("5 has no unit"));
    assert!(read(&kind, "\"5\"").unwrap_err().contains("no unit"));
    for value in ["\"1h30m\"", "\"5 s\"", "\"-1s\"", "\"s\"", "\"\"", "1.5"] {
        assert!(
            read(&kind, value)
                .unwrap_err()
                .contains("is not a duration"),
            "{value}"
        );
    }
    assert!(
        read(&kind, "\"61m\"")
            .unwrap_err()
            .contains("61m is out of range")
    );
    assert!(
        read(&duration(1, 9), "0")
            .unwrap_err()
            .contains("out of range")
    );
    assert_eq!(kind.allowed(), "1ms to 1h, or 0: never");
}

#[test]
fn parts_are_numbers_between_their_bounds() {
    let kind = ratio(0.1, 1.0);
    assert_eq!(read(&kind, "0.25"), Ok(0.25));
    assert_eq!(read(&kind, "1"), Ok(1.0));
    for value in ["0.05", "nan", "inf", "-1.0"] {
        assert!(
            read(&kind, value).unwrap_err().contains("out of range"),
            "{value}"
        );
    }
    assert!(
        read(&kind, "\"half\"")
            .unwrap_err()
            .contains("not a number")
    );
}

#[test]
fn permission_bits_are_octal_or_nothing() {
    for value in ["\"0770\"", "\"770\"", "0o770", "\"0o770\""] {
        assert_eq!(read(&mode(), value), Ok(0o770), "{value}");
    }
    for value in ["770", "\"888\"", "0o7777", "\"\"", "\"rwx\""] {
        assert!(read(&mode(), value).is_err(), "{value}");
    }
}

proptest! {
    #[test]
    fn what_is_shown_is_read_back(number in any::<u32>()) {
        let number = u64::from(number);
        let sizes = bytes::<u64>(0, u64::MAX);
        prop_assert_eq!(read(&sizes, &sizes.show(&number)), Ok(number));
        let durations = duration(0, u64::MAX);
        let value = Duration::from_millis(number);
        prop_assert_eq!(read(&durations, &durations.show(&value)), Ok(value));
    }
}
