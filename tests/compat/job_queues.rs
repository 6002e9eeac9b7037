//! Job queues that people run on Redis, through narrows with its defaults: BullMQ, rq and Celery. Jobs
//! are added, workers in processes of their own run them, each has run exactly once with the right
//! result; and the server never counts more connections than narrows may have.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::census::Census;
use crate::support::{Child, Flavor, Narrows, RedisServer, node, python};
use rustix::process::{Pid, Signal, kill_process_group};

/// A program with its workers, which are its process group: whatever becomes of the test, none of
/// them stays.
struct Jobs {
    child: Child,
}

impl Jobs {
    fn start(command: &mut Command) -> Self {
        let child = Child::spawn(command.process_group(0));
        Self { child }
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        // The group's number stays taken as long as one of its processes lives.
        let group = Pid::from_raw(self.child.pid().cast_signed()).unwrap();
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Runs `command PORT` against narrows in front of a server of `flavor`.
#[track_caller]
fn expect_right(flavor: Flavor, mut command: Command) {
    let server = RedisServer::start_flavor(flavor, &[]);
    let narrows = Narrows::in_front_of(&server, &[]);
    let census = Census::begin(&server);
    command.arg(narrows.port().to_string());
    let mut jobs = Jobs::start(&mut command);
    let status = jobs.child.wait(Duration::from_secs(55));
    let text = jobs.child.log();
    let (most, _) = census.end();
    assert!(
        status.success() && text.contains("all jobs were right"),
        "{command:?}: {status}\n{text}\nnarrows:\n{}",
        narrows.log()
    );
    assert!(most <= 16, "{most} connections, {command:?}");
    println!("{command:?}: {most} connections at the server, at most");
}

fn script(name: &str) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/compat/python")
        .join(name);
    let mut command = Command::new(python());
    command.arg(path);
    command
}

/// Once for each server of the matrix, at the same time: workers wait more than they work.
fn on_each_flavor(command: impl Fn() -> Option<Command> + Sync) {
    std::thread::scope(|scope| {
        for flavor in Flavor::matrix() {
            let command = &command;
            scope.spawn(move || {
                if let Some(command) = command() {
                    expect_right(flavor, command);
                }
            });
        }
    });
}

#[test]
fn bullmq_runs_each_job_once() {
    on_each_flavor(|| node("bullmq.js"));
}

#[test]
fn rq_runs_each_job_once() {
    on_each_flavor(|| Some(script("rq_jobs.py")));
}

#[test]
fn as_many_workers_as_people_have_run_each_job_once() {
    on_each_flavor(|| Some(script("many_workers.py")));
}

#[test]
fn celery_runs_each_task_once() {
    on_each_flavor(|| Some(script("celery_jobs.py")));
}
