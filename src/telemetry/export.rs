//! From figures to the text that Prometheus reads. Every metric of the [`catalog`] is written from
//! one [`Picture`], in the catalog's order; one of which nothing is known is left out, never 0.

use std::sync::Arc;

use prometheus::TextEncoder;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram as Buckets, LabelPair, Metric as Sample, MetricFamily,
    MetricType,
};

use super::catalog::{self, Metric, MetricKind};
use super::cells::Snapshot;
use super::counters::{ClientCloseReason, Labelled, Undelivered, Way};
use super::histogram::Histogram;
use super::process::ProcessFigures;
use super::server::{Health, ServerFigures};

/// What is known of one worker.
#[derive(Debug, Clone, Default)]
pub struct WorkerPicture {
    /// It has answered in time; otherwise the snapshot is an old one.
    pub is_up: bool,
    /// What it said last.
    pub snapshot: Arc<Snapshot>,
}

/// The bound on connections to the server.
#[derive(Debug, Clone, Copy, Default)]
pub struct BudgetPicture {
    /// Connections held.
    pub held: u32,
    /// The bound.
    pub max: u32,
    /// Where growth ends before it, if that is known.
    pub ceiling: Option<u32>,
}

/// A file of certificates that is in use.
#[derive(Debug, Clone, Default)]
pub struct CertificatePicture {
    /// The label that says what for.
    pub used_for: &'static str,
    /// Where it is.
    pub file: String,
    /// When the first of its certificates expires, in seconds since 1970.
    pub not_after: i64,
}

/// All figures at one moment.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    /// The workers, by number.
    pub workers: Vec<WorkerPicture>,
    /// See [`BudgetPicture`].
    pub budget: BudgetPicture,
    /// Clients turned away, by reason.
    pub clients_refused: Labelled,
    /// See [`CertificatePicture`].
    pub certificates: Vec<CertificatePicture>,
    /// TLS handshakes with clients.
    pub tls_handshakes: u64,
    /// How often changed files could not be used.
    pub tls_reload_failures: u64,
    /// Whether clients may be sent here.
    pub is_ready: bool,
    /// Whether the server answers.
    pub health: Health,
    /// What it says of itself.
    pub server: ServerFigures,
    /// See [`ProcessFigures`].
    pub process: ProcessFigures,
}

/// The content type of [`text`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// `picture` as Prometheus reads it.
///
/// # Errors
/// None in practice: what the encoder refuses, a family without a name or a figure, is not made.
pub fn text(picture: &Picture) -> prometheus::Result<String> {
    TextEncoder::new().encode_to_string(&families(picture))
}

fn families(picture: &Picture) -> Vec<MetricFamily> {
    let mut all = Snapshot::default();
    for worker in &picture.workers {
        all.add(&worker.snapshot);
    }
    let mut page = Page::default();
    page.narrows(picture);
    page.tls(picture);
    page.clients(picture, &all);
    page.requests(&all);
    page.pools(picture, &all);
    page.backends(&all);
    page.server(picture);
    page.process(&picture.process);
    page.in_order()
}

/// Families as they come together.
#[derive(Default)]
struct Page(Vec<MetricFamily>);

impl Page {
    fn narrows(&mut self, picture: &Picture) {
        let version = env!("CARGO_PKG_VERSION");
        self.labelled(&catalog::BUILD_INFO, [(version, 1)]);
        self.one(&catalog::READY, u64::from(picture.is_ready));
        self.one(&catalog::WORKERS, picture.workers.len() as u64);
        let up = |worker: &WorkerPicture| u64::from(worker.is_up);
        self.by_worker(&catalog::WORKER_UP, picture, up);
    }

    fn tls(&mut self, picture: &Picture) {
        let metric = &catalog::TLS_NOT_AFTER;
        let certificates = picture.certificates.iter();
        let samples = certificates.map(|certificate| {
            let labels = [certificate.used_for, &certificate.file];
            sample(metric, &labels, certificate.not_after as f64)
        });
        self.family(metric, samples.collect());
        self.one(&catalog::TLS_RELOADS_FAILED, picture.tls_reload_failures);
        self.one(&catalog::TLS_HANDSHAKES, picture.tls_handshakes);
    }

    fn clients(&mut self, picture: &Picture, all: &Snapshot) {
        let (counters, gauges) = (&all.counters, &all.gauges);
        let connected = |worker: &WorkerPicture| worker.snapshot.gauges.clients;
        self.by_worker(&catalog::CLIENTS, picture, connected);
        self.one(&catalog::CLIENTS_MAX, gauges.clients_max);
        self.map(&catalog::CLIENTS_REFUSED, &picture.clients_refused);
        let closed = ClientCloseReason::ALL.map(|why| (why.label(), counters.leaves(why)));
        self.labelled(&catalog::CLIENTS_CLOSED, closed);
        self.one(&catalog::LOGINS_FAILED, counters.logins_failed);
        self.one(&catalog::CLIENTS_WAITING, gauges.waiting);
        self.one(&catalog::CLIENTS_BLOCKED, gauges.blocked);
        self.one(&catalog::BUFFERED, gauges.buffered_bytes);
        self.one(&catalog::BUFFERED_MAX, gauges.buffered_bytes_max);
    }

    fn requests(&mut self, all: &Snapshot) {
        let counters = &all.counters;
        let ways = Way::ALL.map(|way| (way.label(), counters.ways(way)));
        self.labelled(&catalog::COMMANDS, ways);
        self.one(&catalog::IN_FLIGHT, all.gauges.in_flight);
        self.map(&catalog::REFUSALS, &counters.refusals);
        self.durations(&catalog::QUEUE_WAIT, &counters.queue_wait);
        self.durations(&catalog::ROUND_TRIP, &counters.round_trip);
        self.one(&catalog::REPLAYS, counters.replays);
    }

    /// Bounds of their own add up over the workers, and none is above what all share.
    fn pools(&mut self, picture: &Picture, all: &Snapshot) {
        let budget = picture.budget;
        let answering = picture.health == Health::Answering;
        let mut in_use = all.gauges.pool_in_use.clone();
        in_use.insert("control", u64::from(answering));
        let most = u64::from(budget.max.saturating_sub(1));
        let own = all.gauges.pool_max.iter();
        let mut max: Labelled = own.map(|(pool, max)| (*pool, most.min(*max))).collect();
        max.extend([("shared", most), ("control", 1)]);
        self.map(&catalog::POOL_IN_USE, &in_use);
        self.map(&catalog::POOL_MAX, &max);
        self.one(&catalog::BUDGET_HELD, u64::from(budget.held));
        self.one(&catalog::BUDGET_MAX, u64::from(budget.max));
        self.maybe(&catalog::BUDGET_CEILING, budget.ceiling.map(f64::from));
    }

    fn backends(&mut self, all: &Snapshot) {
        let (counters, gauges) = (&all.counters, &all.gauges);
        self.map(&catalog::BACKENDS, &gauges.backends);
        self.one(&catalog::DIALS, counters.dials);
        self.one(&catalog::DIALS_FAILED, counters.dials_failed);
        self.map(&catalog::BACKENDS_CLOSED, &counters.losses);
        self.map(&catalog::BACKENDS_POISONED, &counters.poisons);
        let unsolicited = ["unsolicited_reply", "unsolicited_push"];
        let unsolicited = unsolicited
            .iter()
            .filter_map(|cause| counters.losses.get(cause));
        self.one(&catalog::UNSOLICITED, unsolicited.sum());
        let undelivered = Undelivered::ALL.map(|what| (what.label(), counters.undeliverable(what)));
        self.labelled(&catalog::UNDELIVERABLE, undelivered);
        self.one(&catalog::CONTEXT_SWITCHES, counters.context_switches);
        self.map(&catalog::LEASES, &gauges.leases);
        self.map(&catalog::LEASE_WAITERS, &gauges.lease_waiters);
        self.map(&catalog::PINS, &gauges.pins);
        self.map(&catalog::PIN_AGE, &gauges.pin_age_seconds);
    }

    fn server(&mut self, picture: &Picture) {
        let answering = picture.health == Health::Answering;
        self.one(&catalog::REDIS_UP, u64::from(answering));
        let server = &picture.server;
        for (metric, figure) in [
            (&catalog::REDIS_CLIENTS, server.connected_clients),
            (&catalog::REDIS_MAXCLIENTS, server.maxclients),
            (&catalog::REDIS_BLOCKED, server.blocked_clients),
            (&catalog::REDIS_MEMORY, server.used_memory),
            (&catalog::REDIS_MEMORY_MAX, server.maxmemory),
            (&catalog::REDIS_EVICTED, server.evicted_keys),
        ] {
            self.maybe(metric, figure.map(|figure| figure as f64));
        }
    }

    fn process(&mut self, process: &ProcessFigures) {
        for (metric, figure) in [
            (&catalog::CPU, process.cpu_seconds),
            (&catalog::RESIDENT, process.resident_bytes),
            (&catalog::VIRTUAL, process.virtual_bytes),
            (&catalog::OPEN_FDS, process.open_fds),
            (&catalog::MAX_FDS, process.max_fds),
            (&catalog::STARTED, process.started_seconds),
        ] {
            self.maybe(metric, figure);
        }
    }

    fn one(&mut self, metric: &Metric, value: u64) {
        self.family(metric, vec![sample(metric, &[], value as f64)]);
    }

    fn maybe(&mut self, metric: &Metric, value: Option<f64>) {
        let samples = value.map(|value| sample(metric, &[], value));
        self.family(metric, samples.into_iter().collect());
    }

    fn labelled<'l>(&mut self, metric: &Metric, values: impl IntoIterator<Item = (&'l str, u64)>) {
        let values = values.into_iter();
        let samples = values.map(|(label, value)| sample(metric, &[label], value as f64));
        self.family(metric, samples.collect());
    }

    fn map(&mut self, metric: &Metric, values: &Labelled) {
        self.labelled(metric, values.iter().map(|(label, value)| (*label, *value)));
    }

    fn by_worker(
        &mut self,
        metric: &Metric,
        picture: &Picture,
        figure: impl Fn(&WorkerPicture) -> u64,
    ) {
        let workers = picture.workers.iter().enumerate();
        let samples = workers
            .map(|(number, worker)| sample(metric, &[&number.to_string()], figure(worker) as f64));
        self.family(metric, samples.collect());
    }

    fn durations(&mut self, metric: &Metric, histogram: &Histogram) {
        let mut buckets = Buckets::default();
        let steps = histogram.cumulative().map(|(bound, count)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(count);
            bucket
        });
        buckets.set_bucket(steps.collect());
        buckets.set_sample_count(histogram.count());
        buckets.set_sample_sum(histogram.sum_seconds());
        let mut sample = Sample::default();
        sample.set_histogram(buckets);
        self.family(metric, vec![sample]);
    }

    /// Nothing is written of a metric without a figure.
    fn family(&mut self, metric: &Metric, samples: Vec<Sample>) {
        if samples.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(metric.name.to_owned());
        family.set_help(metric.help.to_owned());
        family.set_field_type(match metric.kind {
            MetricKind::Counter => MetricType::COUNTER,
            MetricKind::Gauge => MetricType::GAUGE,
            MetricKind::Histogram => MetricType::HISTOGRAM,
        });
        family.set_metric(samples);
        self.0.push(family);
    }

    fn in_order(mut self) -> Vec<MetricFamily> {
        let place = |family: &MetricFamily| {
            let known = catalog::ALL.iter();
            known
                .map(|metric| metric.name)
                .position(|name| name == family.name())
        };
        self.0.sort_by_key(place);
        self.0
    }
}

/// One value, with the labels of `metric` in their order.
fn sample(metric: &Metric, labels: &[&str], value: f64) -> Sample {
    let mut sample = Sample::default();
    match metric.kind {
        MetricKind::Counter => {
            let mut counter = Counter::default();
            counter.set_value(value);
            sample.set_counter(counter);
        }
        MetricKind::Gauge | MetricKind::Histogram => {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            sample.set_gauge(gauge);
        }
    }
    let pairs = metric.label.split(',').zip(labels).map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value((*value).to_owned());
        pair
    });
    sample.set_label(pairs.collect());
    sample
}

#[cfg(test)]
mod tests;
