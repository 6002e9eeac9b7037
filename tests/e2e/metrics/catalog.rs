//! The catalog is what is shown and what is documented, no more and no less.

use std::collections::BTreeSet;
use std::path::Path;

use narrows::telemetry::catalog::{ALL, MetricKind};

use crate::metrics::exposition::Exposition;
use crate::metrics::http::get;
use crate::support::{Flavor, Narrows, PATIENCE, RedisServer, wait_for};

/// The page of a narrows whose control connection has read the server's figures.
pub fn scrape(narrows: &Narrows) -> Exposition {
    let page = get(&narrows.admin_address(), "/metrics");
    assert_eq!(page.status, 200, "{page:?}");
    Exposition::read(&page.body)
}

#[test]
fn every_metric_of_the_catalog_is_shown_and_no_other() {
    for flavor in Flavor::pair() {
        let server = RedisServer::start_flavor(flavor, &[]);
        let narrows = Narrows::in_front_of(&server, &["--workers", "2"]);
        let page = wait_for("the server's figures", PATIENCE, || {
            let page = scrape(&narrows);
            page.families
                .contains_key("redis_evicted_keys_total")
                .then_some(page)
        });
        // Without TLS there is no certificate.
        let shown = ALL
            .iter()
            .filter(|metric| !metric.name.contains("certificate"));
        let names: Vec<&str> = shown.clone().map(|metric| metric.name).collect();
        assert_eq!(page.order, names, "in the order of the catalog");
        for metric in shown {
            let family = &page.families[metric.name];
            let kind = match metric.kind {
                MetricKind::Counter => "counter",
                MetricKind::Gauge => "gauge",
                MetricKind::Histogram => "histogram",
            };
            assert_eq!(
                (family.kind.as_str(), family.help.as_str()),
                (kind, metric.help)
            );
            for series in family.samples.keys() {
                let label = match series.split_once('{') {
                    Some((_, labels)) => labels.split_once('=').unwrap().0,
                    None => "",
                };
                let is_bucket = metric.kind == MetricKind::Histogram && label == "le";
                assert!(label == metric.label || is_bucket, "{series}");
            }
        }
    }
}

/// Names in backquotes at the beginning of a row of a table.
fn documented(text: &str) -> BTreeSet<&str> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let is_name = |name: &&str| name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    rows.filter_map(|row| row.split(['`', '{']).next())
        .filter(is_name)
        .collect()
}

#[test]
fn every_metric_is_documented_with_what_to_do_and_no_other() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let text = std::fs::read_to_string(path).unwrap();
    let names: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(documented(&text), names);
    for metric in ALL {
        let label = match metric.label {
            "" => String::new(),
            label => format!("{{{label}}}"),
        };
        let head = format!("| `{}{label}` |", metric.name);
        let row = text.lines().find(|line| line.starts_with(&head));
        let cells = row.unwrap_or_else(|| panic!("no row {head}")).split('|');
        assert_eq!(
            cells.filter(|cell| cell.trim().len() > 3).count(),
            3,
            "{head}"
        );
    }
}
