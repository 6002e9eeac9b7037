//! Temporary.
use std::time::Duration;
use crate::{gauge::Gauge, nemesis::Nemesis, play::{Nobody, Play}, schedule::each_once, stage::Stage, support::Flavor, traffic::Traffic};
#[test]
fn load_try() {
    let only = std::env::var("ONLY").unwrap_or_default();
    let nemeses: Vec<Nemesis> = Nemesis::all().into_iter().filter(|n| n.name.contains(&only)).collect();
    let mut stage = Stage::new(Flavor::Redis, 2, 1);
    let traffic = Traffic::start(stage.address());
    let gauge = Gauge::start(&stage);
    let mut nobody = Nobody;
    let account = Play::new(&mut stage, &gauge, &traffic, &mut nobody).run(each_once(&nemeses, Duration::from_millis(300), 1));
    println!("{:?} {}", account.offences, gauge.listed_blind_max());
    let tally = traffic.0.finish();
    println!("{tally:?}");
    assert!(account.offences.is_empty());
}
