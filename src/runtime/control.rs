//! narrows' own connection to the server, on the control thread: health, the server's own
//! limits, and its `COMMAND`. It never carries a client's command. When it or its thread
//! dies, traffic goes on.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout};

use crate::admission::{Backoff, Budget, Claim, Jitter, Paused, ServerPause};
use crate::command::CommandTable;
use crate::engine::{Rules, ServerBusy};
use crate::resp::{ReplyScanner, write};
use crate::session::{AuthMode, own_channel};
use crate::telemetry::{Server, ServerFigures};

use super::current::Current;
use super::dial::{self, BackendSocket};
use super::inbox::Inbox;

/// What workers ask of the control thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// A command name was met that the table does not know.
    LearnCommands,
    /// The settings have changed: whoever waits by the old ones begins anew.
    Reloaded,
}

/// Orders that wait. Each that finds no room stands behind one that has the same effect.
pub const ORDERS_MAX: usize = 64;

/// How often the server's own client counts are read.
const POLL: Duration = Duration::from_secs(5);

/// How long a pause of writes is asked about at each health check. Behind that, every [`POLL`].
const PAUSE_IS_NEW: Duration = Duration::from_secs(10);

/// How soon a server that does not pause writes answers one.
const WRITE_PATIENCE: Duration = Duration::from_millis(100);

/// What is told while control's place is lent.
const PLACE_TAKEN: &str = "the control connection exists already";

/// For how long control's place is lent at most.
const PLACE_LENT: Duration = Duration::from_secs(2);

/// How often control looks whether its place is free again.
const PLACE_POLL: Duration = Duration::from_millis(5);

/// First ceiling of the pause after an attempt that has failed.
const BACKOFF_MIN: Duration = Duration::from_millis(50);

/// What is told of a connection that ended at a request's or reply's edge or within.
const CLOSED: &str = "the server closed the connection";

/// Largest reply read here, in bytes: `COMMAND` of a server with many modules.
const REPLY_BYTES_MAX: usize = 16 << 20;

/// The control connection and whom it tells what.
pub struct Control {
    /// What holds now. The rules are replaced when commands are learned.
    pub current: Arc<Current>,
    /// The bound on connections, of which this is one.
    pub budget: Arc<Budget>,
    /// All workers' inboxes.
    pub inboxes: Vec<Arc<Inbox>>,
    /// Name of this connection in the server's `CLIENT LIST`.
    pub name: String,
    /// Orders of the workers.
    pub orders: Receiver<Order>,
    /// The server refuses `COMMAND`, which has been said.
    pub command_refused: bool,
    /// Where it is told what the server says of itself.
    pub server: Arc<Server>,
    /// For how long clients have paused the server.
    pub pause: Arc<ServerPause>,
    /// What the server says while it is busy with a script.
    pub busy: Arc<ServerBusy>,
    /// When the process' own clock began.
    pub epoch: std::time::Instant,
}

impl Control {
    /// Keeps a connection as long as the process runs.
    pub async fn run(mut self) {
        let mut jitter = Jitter::new(u64::from(std::process::id()));
        let mut backoff = Backoff::new(BACKOFF_MIN, BACKOFF_MIN);
        let mut told = None;
        loop {
            let ceiling = self.current.settings().health_interval;
            let ceiling = ceiling.max(Duration::from_millis(100));
            backoff.set_bounds(BACKOFF_MIN, ceiling);
            let error = match self.connect().await {
                Ok(socket) => {
                    backoff.succeeded();
                    let since = Instant::now();
                    let mut socket = Some(socket);
                    let error = self.serve(&mut socket, &mut told).await;
                    if let Some(socket) = socket {
                        dial::take_leave(socket).await;
                    }
                    // It may be another server next time, which nobody has paused.
                    self.pause.end(self.epoch.elapsed());
                    // A server may close what idles (`timeout`), an operator what he lists:
                    // only a server that cannot be reached again is not healthy.
                    if error == CLOSED && since.elapsed() >= ceiling / 2 {
                        continue;
                    }
                    error
                }
                Err(error) => error,
            };
            if self.orders.is_closed() {
                // All workers have ended: narrows is about to.
                return;
            }
            if told != Some(false) {
                tracing::warn!(error, "the server does not answer the health check");
            }
            self.server.is_silent(&error);
            self.pause.end(self.epoch.elapsed());
            self.busy.over(self.epoch.elapsed());
            self.tell_health(&mut told, false);
            self.budget.stop_growth(false);
            let pause = backoff.failed(&mut jitter);
            let until = Instant::now() + pause;
            // Orders cannot be carried out now: whoever asked must not wait for it.
            while let Ok(Some(order)) = tokio::time::timeout_at(until, self.orders.recv()).await {
                match order {
                    Order::LearnCommands => self.tell(Inbox::commands_learned),
                    // Perhaps the login that was refused.
                    Order::Reloaded => break,
                }
            }
        }
    }

    async fn connect(&self) -> Result<BackendSocket, String> {
        let permit = self.budget.acquire(Claim::Control).ok_or(PLACE_TAKEN)?;
        let settings = self.current.settings();
        let mut socket = dial::dial(&settings, permit).await?;
        let credentials = &settings.credentials;
        if let Some(password) = &credentials.password {
            let mut args: Vec<&[u8]> = vec![b"AUTH"];
            args.extend(credentials.user.as_ref().map(String::as_bytes));
            args.push(password.as_bytes());
            let reply = self.ask(&mut socket, &args).await?;
            if reply != b"+OK\r\n" {
                return Err(error_text(&reply));
            }
        }
        let name = self.name.clone();
        // A name is a courtesy: a server that refuses it is served all the same.
        self.ask(&mut socket, &[b"CLIENT", b"SETNAME", name.as_bytes()])
            .await?;
        Ok(socket)
    }

    /// Until something goes wrong: what that was.
    async fn serve(&mut self, line: &mut Option<BackendSocket>, told: &mut Option<bool>) -> String {
        let mut learned = false;
        let mut polled: Option<Instant> = None;
        let mut pause_asked: Option<Instant> = None;
        loop {
            if let Err(error) = self.ask_about_pause(line, &mut pause_asked).await {
                return error;
            }
            if let Err(error) = self.give_place(line).await {
                return error;
            }
            let Some(socket) = line else {
                return CLOSED.to_owned();
            };
            let asked = self.epoch.elapsed();
            match self.ask(socket, &[b"PING"]).await {
                // Where clients bring their own logins narrows may have none: an answer is an answer.
                Ok(reply) if reply.starts_with(b"-NOAUTH") && !self.asks_nothing() => {
                    return error_text(&reply);
                }
                Ok(reply) => {
                    let now = self.epoch.elapsed();
                    self.pause.answered(asked, now, Paused::All);
                    match reply.starts_with(b"-BUSY ") {
                        true => self.busy.heard(&reply, asked, now),
                        false => self.busy.over(asked),
                    }
                }
                Err(error) => return error,
            }
            if *told == Some(false) {
                tracing::info!("the server answers the health check again");
            }
            self.server.answers();
            self.tell_health(told, true);
            if !learned {
                match self.learn(socket).await {
                    Ok(done) => learned = done,
                    Err(error) => return error,
                }
            }
            if !self.busy.is_heard() && polled.is_none_or(|at| at.elapsed() >= POLL) {
                polled = Some(Instant::now());
                if let Err(error) = self.poll(socket).await {
                    return error;
                }
            }
            let interval = self.current.settings().health_interval;
            let next = Instant::now()
                + match self.busy.is_heard() {
                    true => interval.min(WRITE_PATIENCE),
                    false => interval,
                };
            while let Ok(order) = tokio::time::timeout_at(next, self.orders.recv()).await {
                match order {
                    Some(Order::LearnCommands) => {}
                    Some(Order::Reloaded) => break,
                    None => return "narrows is ending".to_owned(),
                }
                let result = self.learn(socket).await;
                self.tell(Inbox::commands_learned);
                if let Err(error) = result {
                    return error;
                }
            }
        }
    }

    /// While clients have paused writes through narrows: somebody else may have ended that. Only a
    /// write shows it, one that stores nothing; a connection on which that waits is closed.
    async fn ask_about_pause(
        &self,
        line: &mut Option<BackendSocket>,
        last: &mut Option<Instant>,
    ) -> Result<(), String> {
        let asked = self.epoch.elapsed();
        let is_new = asked.saturating_sub(self.pause.began_at()) < PAUSE_IS_NEW;
        let due = is_new || last.is_none_or(|at| at.elapsed() >= POLL);
        if self.pause.holds_up(asked) != Some(Paused::Writes) || !due {
            return Ok(());
        }
        *last = Some(Instant::now());
        let Some(mut socket) = line.take() else {
            return Err(CLOSED.to_owned());
        };
        let publish: [&[u8]; 3] = [b"PUBLISH", own_channel::PAUSE, b""];
        match timeout(WRITE_PATIENCE, self.ask(&mut socket, &publish)).await {
            Ok(Err(error)) => return Err(error),
            Ok(Ok(reply)) => {
                match reply.first() {
                    Some(b':') => {
                        let now = self.epoch.elapsed();
                        self.pause.answered(asked, now, Paused::Writes);
                    }
                    _ => self.pause.cannot_be_asked(),
                }
                *line = Some(socket);
            }
            Err(_) => {
                dial::take_leave(socket).await;
                *line = Some(self.connect().await?);
            }
        }
        Ok(())
    }

    /// What is to end a script that keeps the server busy has no other place than this one: it is
    /// given away until that is done.
    async fn give_place(&self, line: &mut Option<BackendSocket>) -> Result<(), String> {
        if !self.busy.is_place_asked_for() {
            return Ok(());
        }
        if let Some(socket) = line.take() {
            dial::take_leave(socket).await;
        }
        self.busy.offer_place();
        let until = Instant::now() + PLACE_LENT;
        while self.busy.is_place_offered() && Instant::now() < until {
            tokio::time::sleep(PLACE_POLL).await;
        }
        self.busy.end_offer();
        loop {
            match self.connect().await {
                Err(error) if error == PLACE_TAKEN && Instant::now() < until => {
                    tokio::time::sleep(PLACE_POLL).await;
                }
                outcome => {
                    *line = Some(outcome?);
                    return Ok(());
                }
            }
        }
    }

    /// Whether it is not narrows' own login that clients are served with.
    fn asks_nothing(&self) -> bool {
        self.current.rules().access.mode == AuthMode::Passthrough
            && self.current.settings().credentials.password.is_none()
    }

    /// Asks for `COMMAND`. `Ok(false)`: not now (the server is loading, or busy).
    async fn learn(&mut self, socket: &mut BackendSocket) -> Result<bool, String> {
        let reply = self.ask(socket, &[b"COMMAND"]).await?;
        if reply.starts_with(b"-LOADING") || reply.starts_with(b"-BUSY ") {
            return Ok(false);
        }
        if reply.starts_with(b"-") {
            let said = std::mem::replace(&mut self.command_refused, true);
            if !said && !self.current.rules().commands.is_learned() {
                let error = error_text(&reply);
                tracing::warn!(error, "COMMAND is refused: narrows' own table rules");
            }
            return Ok(true);
        }
        let rules = self.current.rules();
        let learned = CommandTable::builtin().learned_with(&reply, &rules.renames());
        match learned {
            Ok(commands) => {
                let rules = self.current.change_rules(|rules| Rules {
                    settings: rules.settings.clone(),
                    policy: rules.policy.clone(),
                    access: rules.access.clone(),
                    commands,
                });
                self.tell(|inbox| inbox.rules(&rules));
            }
            Err(error) => tracing::warn!(%error, "COMMAND is not understood"),
        }
        Ok(true)
    }

    /// Reads what the server says of itself. Before Redis 7 `INFO` takes one section at a time.
    async fn poll(&mut self, socket: &mut BackendSocket) -> Result<(), String> {
        let mut figures = ServerFigures::default();
        for section in [b"clients".as_slice(), b"memory", b"stats"] {
            let reply = self.ask(socket, &[b"INFO", section]).await?;
            figures.read(&String::from_utf8_lossy(&reply));
        }
        self.server.said(figures);
        self.watch_maxclients(&figures);
        Ok(())
    }

    /// Near the server's own `maxclients` nothing grows.
    fn watch_maxclients(&self, figures: &ServerFigures) {
        let figures = figures.connected_clients.zip(figures.maxclients);
        let figures = figures.map(|(connected, max)| (connected as f64, max as f64));
        if figures.is_none() && self.budget.growth_stopped() {
            tracing::warn!("INFO clients cannot be read: the server's maxclients is not watched");
            self.budget.stop_growth(false);
        }
        if let Some((connected, max)) = figures {
            self.budget.server_said(connected as u64, max as u64);
            let mark = max * self.current.settings().maxclients_high_water;
            let others = connected - f64::from(self.budget.held());
            // A figure below zero or above all becomes the nearest there is.
            self.budget.limit_growth((mark - others.max(0.0)) as u32);
            let near = connected >= mark;
            if near && !self.budget.growth_stopped() {
                tracing::warn!(connected, max, "near the server's maxclients: no growth");
            }
            self.budget.stop_growth(near);
        }
    }

    fn tell_health(&self, told: &mut Option<bool>, answering: bool) {
        if answering || *told != Some(answering) {
            *told = Some(answering);
            self.tell(|inbox| inbox.health(answering));
        }
    }

    fn tell(&self, news: impl Fn(&Inbox)) {
        for inbox in &self.inboxes {
            // A worker that is gone needs none.
            news(inbox);
        }
    }

    /// One request and its whole reply, within a bounded time.
    async fn ask(&self, socket: &mut BackendSocket, args: &[&[u8]]) -> Result<Vec<u8>, String> {
        let limit = self.current.settings().connect_timeout;
        let limit = limit.max(Duration::from_secs(1));
        let mut request = Vec::new();
        write::request(&mut request, args);
        let rules = self.current.rules();
        let limits = &rules.settings.limits;
        let exchange = async {
            let stream = &mut socket.stream;
            stream.write_all(&request).await.map_err(lost)?;
            let mut scanner = ReplyScanner::default();
            let mut reply = Vec::new();
            let mut chunk = vec![0u8; 64 << 10];
            loop {
                let n = stream.read(&mut chunk).await.map_err(lost)?;
                let part = chunk.get(..n).unwrap_or_default();
                if part.is_empty() {
                    return Err(CLOSED.to_owned());
                }
                let advance = scanner
                    .advance(part, limits)
                    .map_err(|e| format!("malformed reply: {}", e.label()))?;
                reply.extend_from_slice(part);
                if advance.complete {
                    return match advance.consumed == n {
                        true => Ok(reply),
                        false => Err("unsolicited reply".to_owned()),
                    };
                }
                if reply.len() > REPLY_BYTES_MAX {
                    return Err("reply too large".to_owned());
                }
            }
        };
        let begun = self.epoch.elapsed();
        let mut exchange = std::pin::pin!(exchange);
        loop {
            // A pause may begin while it waits, and may be ended early.
            let deadline = self.pause.counts_from(begun, Paused::All) + limit;
            let left = deadline.saturating_sub(self.epoch.elapsed());
            if left.is_zero() {
                return Err("no answer in time".to_owned());
            }
            if let Ok(outcome) = timeout(left.min(limit), &mut exchange).await {
                return outcome;
            }
        }
    }
}

/// A reset and a closed connection are one thing: which of them is seen is a matter of timing.
fn lost(error: std::io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => CLOSED.to_owned(),
        _ => error.to_string(),
    }
}

fn error_text(reply: &[u8]) -> String {
    let text = String::from_utf8_lossy(reply);
    text.trim_start_matches('-').trim_end().to_owned()
}
