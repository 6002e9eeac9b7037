//! A strict reader of the text format of Prometheus: what it does not understand fails the test.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::collections::BTreeMap;

/// One metric.
#[derive(Debug, Default)]
pub struct Family {
    pub kind: String,
    pub help: String,
    /// Values by name and labels, as written: `name{label="value"}`.
    pub samples: BTreeMap<String, f64>,
}

/// All metrics of a page, by name.
#[derive(Debug)]
pub struct Exposition {
    pub families: BTreeMap<String, Family>,
    /// Names in the order in which they are written.
    pub order: Vec<String>,
}

impl Exposition {
    pub fn read(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line is not ended");
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        let mut order = Vec::new();
        let mut helped = None;
        for line in text.lines() {
            if let Some(comment) = line.strip_prefix("# HELP ") {
                let (name, help) = comment.split_once(' ').expect(line);
                check_name(name);
                assert!(!help.trim().is_empty() && !help.contains('\\'), "{line}");
                helped = Some((name, help));
            } else if let Some(comment) = line.strip_prefix("# TYPE ") {
                let (name, kind) = comment.split_once(' ').expect(line);
                let (of, help) = helped.take().expect("a TYPE without a HELP");
                assert_eq!(of, name, "{line}");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                let family = Family {
                    kind: kind.to_owned(),
                    help: help.to_owned(),
                    samples: BTreeMap::new(),
                };
                let before = families.insert(name.to_owned(), family);
                assert!(before.is_none(), "{name} stands there twice");
                order.push(name.to_owned());
            } else {
                let last = order.last().expect("a value before the first TYPE");
                families.get_mut(last).unwrap().take(last, line);
            }
        }
        for (name, family) in &families {
            assert!(!family.samples.is_empty(), "{name} has no value");
            if family.kind == "histogram" {
                family.check_histogram(name);
            }
        }
        Self { families, order }
    }

    /// The value of `series`, as `name{label="value"}`.
    #[track_caller]
    pub fn value(&self, series: &str) -> f64 {
        self.find(series)
            .unwrap_or_else(|| panic!("{series} is missing"))
    }

    pub fn find(&self, series: &str) -> Option<f64> {
        let mut families = self.families.values();
        families.find_map(|family| family.samples.get(series).copied())
    }

    /// The sum over all labels of a metric.
    #[track_caller]
    pub fn sum(&self, name: &str) -> f64 {
        self.families[name].samples.values().sum()
    }
}

impl Family {
    fn take(&mut self, name: &str, line: &str) {
        let (series, value) = line.rsplit_once(' ').expect(line);
        let value: f64 = value.parse().expect(line);
        assert!(value.is_finite() && value >= 0.0, "{line}");
        let base = match series.split_once('{') {
            Some((base, labels)) => {
                check_labels(labels.strip_suffix('}').expect(line), line);
                base
            }
            None => series,
        };
        check_name(base);
        let suffix = base.strip_prefix(name).expect(line);
        let allowed: &[&str] = match self.kind.as_str() {
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        assert!(allowed.contains(&suffix), "{line} among those of {name}");
        let before = self.samples.insert(series.to_owned(), value);
        assert_eq!(before, None, "{series} stands there twice");
    }

    /// Buckets only grow, and the last one holds everything.
    fn check_histogram(&self, name: &str) {
        let bound = |series: &str| {
            let bound = series.strip_prefix(&format!("{name}_bucket{{le=\""))?;
            bound.strip_suffix("\"}")?.parse::<f64>().ok()
        };
        let samples = self.samples.iter();
        let mut buckets: Vec<(f64, f64)> = samples
            .filter_map(|(series, count)| Some((bound(series)?, *count)))
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(
            buckets.len() > 2 && buckets.is_sorted_by(|a, b| a.1 <= b.1),
            "{buckets:?}"
        );
        let last = buckets.last().unwrap();
        let count = self.samples[&format!("{name}_count")];
        assert!(
            last.0.is_infinite() && last.1 == count,
            "{name}: {buckets:?}"
        );
        assert!(self.samples.contains_key(&format!("{name}_sum")));
    }
}

fn check_name(name: &str) {
    let letters = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
    assert!(letters && begins, "{name:?} is no name of a metric");
}

fn check_labels(labels: &str, line: &str) {
    for label in labels.split("\",") {
        let (name, value) = label.split_once("=\"").expect(line);
        check_name(name);
        let value = value.strip_suffix('"').unwrap_or(value);
        assert!(!value.contains(['"', '\\', '\n']), "{line}");
    }
}

#[test]
#[should_panic(expected = "stands there twice")]
fn a_value_that_is_given_twice_is_found() {
    Exposition::read("# HELP a b\n# TYPE a gauge\na{x=\"1\"} 1\na{x=\"1\"} 2\n");
}

#[test]
#[should_panic(expected = "among those of a")]
fn a_value_below_another_metric_is_found() {
    Exposition::read("# HELP a b\n# TYPE a gauge\na 1\nab 2\n");
}
