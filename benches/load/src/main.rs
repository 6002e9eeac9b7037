//! The load generator as a program: flags in, a progress line while it runs, a table at the end.

mod arguments;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;

use arguments::Arguments;
use narrows_load::{Phase, Report, Running, Snapshot};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("narrows-load: {error:#}");
            TROUBLE.into()
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let plan = arguments.plan();
    if arguments.print_plan {
        println!("{}", serde_json::to_string_pretty(&plan)?);
        return Ok(ExitCode::SUCCESS);
    }
    if let Err(mistakes) = plan.check() {
        anyhow::bail!("{}", mistakes.join("\nnarrows-load: "));
    }
    let running = narrows_load::start(plan);
    watch(&running);
    match running.wait() {
        Ok(report) => finish(arguments, &report),
        Err(offence) => {
            eprintln!("{offence}");
            if let Some(path) = &offence.dump {
                eprintln!("written to {}", path.display());
            }
            Ok(OFFENCE.into())
        }
    }
}

fn finish(arguments: &Arguments, report: &Report) -> anyhow::Result<ExitCode> {
    print!("{report}");
    if let Some(path) = &arguments.json {
        let json = serde_json::to_string_pretty(report)?;
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(if report.is_good() {
        ExitCode::SUCCESS
    } else {
        TROUBLE.into()
    })
}

/// A line that is written anew each second on a terminal, a new line each ten seconds elsewhere.
fn watch(running: &Running) {
    let terminal = std::io::stderr().is_terminal();
    let every = Duration::from_secs(if terminal { 1 } else { 10 });
    let mut shown = Instant::now();
    let mut before = running.snapshot();
    while !running.is_over() {
        std::thread::sleep(Duration::from_millis(50));
        if shown.elapsed() < every {
            continue;
        }
        let now = running.snapshot();
        let line = progress(running, &before, &now);
        let mut stderr = std::io::stderr().lock();
        let _ = if terminal {
            write!(stderr, "\r\x1b[K{line}")
        } else {
            writeln!(stderr, "{line}")
        };
        let _ = stderr.flush();
        (shown, before) = (Instant::now(), now);
    }
    if terminal {
        eprint!("\r\x1b[K");
    }
}

fn progress(running: &Running, before: &Snapshot, now: &Snapshot) -> String {
    let window = running.take_window();
    let seconds = (now.elapsed - before.elapsed).as_secs_f64();
    let verified = now.counts.verified - before.counts.verified;
    let counts = &now.counts;
    let mut line = format!(
        "{:>6.0} s {} {} open, {:.0} verified/s, {} in all, p50 {:.0} µs, p99 {:.0} µs",
        now.elapsed.as_secs_f64(),
        now.phase,
        counts.open,
        verified as f64 / seconds,
        counts.verified,
        window.p50_us,
        window.p99_us,
    );
    let trouble = counts.errors + counts.refused + counts.lost + counts.hangs;
    if trouble > 0 {
        line += &format!(
            "; errors {} refused {} lost {} hangs {}",
            counts.errors, counts.refused, counts.lost, counts.hangs
        );
    }
    if now.phase == Phase::Running && now.silence > Duration::from_secs(1) {
        line += &format!("; silent for {:.0} s", now.silence.as_secs_f64());
    }
    line
}

/// Trouble that the plan does not allow, or no plan at all.
const TROUBLE: u8 = 1;
/// A reply that its request cannot have.
const OFFENCE: u8 = 2;
